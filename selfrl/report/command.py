"""`selfrl report RUN [RUN …]`: one page of what runs wrote, and a picture of its curves.

A RUN is an output folder of `selfrl train`, a run of `selfrl compare`, or a folder that holds some, such as a whole
comparison. The page is one file that opens without a network; --live serves it instead, and keeps it up to date.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from selfrl.files import write_whole

PAGE = "REPORT.html"


def main(argv: Sequence[str]) -> int:
    """Write the page, or serve it until interrupted.

    Raises:
        ValueError: for a folder without a run, a damaged file, or an --out that is no .html.
    """
    parser = argparse.ArgumentParser(
        prog="selfrl report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, or of several")
    parser.add_argument("--out", type=Path, help=f"the page; {PAGE} in the first folder by default")
    parser.add_argument("--live", action="store_true", help="serve the page on 127.0.0.1 and keep it up to date")
    parser.add_argument("--port", type=int, default=0, help="of --live; 0, the default, takes a free one")
    args = parser.parse_args(argv)
    return serve(args.runs, title_of(args.runs), args.port) if args.live else write(args.runs, args.out)


def title_of(paths: Sequence[Path]) -> str:
    """The folders' names, with their parents' where names repeat.

    >>> title_of([Path("/runs/a/seed0"), Path("/runs/b/seed0")]), title_of([Path("/runs/a/seed0")])
    ('a/seed0, b/seed0', 'seed0')
    """
    parts = [path.resolve().parts for path in paths]
    depth = 1 if len({part[-1] for part in parts}) == len(parts) else 2
    return ", ".join("/".join(part[-depth:]) for part in parts)


def write(paths: Sequence[Path], out: Path | None) -> int:
    """Write page and picture, and print where they are."""
    from selfrl.report.curve_plot import plot_curves
    from selfrl.report.page import render
    from selfrl.report.report_data import report_data
    from selfrl.report.run_data import read_data
    from selfrl.report.run_folders import find_runs

    runs = list(map(read_data, find_runs(paths)))
    page = out or paths[0] / PAGE
    if page.suffix != ".html":
        raise ValueError(f"--out is {page}: name a file that ends in .html, the picture stands beside it.")
    page.parent.mkdir(parents=True, exist_ok=True)
    write_whole(page, render(report_data(runs), title_of(paths)))
    print(f"Page: {page}")
    picture = page.with_suffix(".png")
    if plot_curves(picture, runs):
        print(f"Plot: {picture}")
    return 0


def serve(paths: Sequence[Path], title: str, port: int) -> int:
    """Serve the page and print its address; ends with Ctrl-C."""
    from selfrl.report.live_server import HOST, LivePage, live_server

    page = LivePage(paths, title)
    page.data()  # a folder without a run is told now
    with live_server(page, port) as server:
        print(f"http://{HOST}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Ended.")
    return 0
