"""A data set is the same however it is built, holds out other pictures, and drops nothing in silence."""

from __future__ import annotations

import json
import os
import signal
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image
from support.pictures import jpeg, noise, texture
from support.processes import in_a_process

from selfrl.cli import main
from selfrl.data.loading import load_rows
from selfrl.pictures import content_hash, read_picture
from selfrl.pretext.building import Build, build, split_of
from selfrl.pretext.picture_sources import PictureSource
from selfrl.pretext.shards import ItemPlan
from selfrl.rewards.vision import ChannelOrder, Contrastive, DepthOrder, Jigsaw, PictureTask, Rotation

PLAN = ItemPlan(((Rotation(), 0), (Jigsaw(min_side=8), 0)), per_picture=2, max_pixels=10**6, seed=0)


def folder_of(place: Path, count: int, seed: int = 0) -> Path:
    place.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        noise(rng).save(place / f"{number:03}.png")
    return place


def built(pictures: Path | str, out: Path, plan: ItemPlan = PLAN, **options: Any) -> dict[str, int]:
    given = {"held_out": 0.3, "pictures_per_shard": 8, **options}
    return build(Build(PictureSource(str(pictures)), plan, out, **given))


def rows(out: Path, split: str = "train") -> list[dict[str, Any]]:
    """Everything that a data set holds, with pictures as bytes."""
    data = load_rows(str(out), split).cast_column("images", Features({"x": [ImageFeature(decode=False)]})["x"])
    return sorted(data.to_list(), key=lambda row: json.dumps(row, default=repr))


def test_rows_are_whole_and_their_pictures_held_out_by_content(tmp_path: Path) -> None:
    counts = built(folder_of(tmp_path / "p", 30), tmp_path / "out")
    assert counts == {"pictures": 30, "duplicates": 0, "rotation/kept": 60, "jigsaw/kept": 60}
    splits = {split: load_rows(str(tmp_path / "out"), split) for split in ("train", "heldout")}
    seen = {split: set(data["picture"]) for split, data in splits.items()}
    assert not seen["train"] & seen["heldout"]
    assert len(seen["train"] | seen["heldout"]) == 30
    for split, data in splits.items():
        for row in data:
            assert split_of(row["picture"], 0.3) == split
            places = [part for message in row["prompt"] for part in message["content"] if part["type"] == "image"]
            assert len(places) == len(row["images"])
            assert all(isinstance(picture, Image.Image) for picture in row["images"])


def test_a_copy_in_another_format_is_found(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "p", 12)
    for number in (1, 2, 3):
        Image.open(place / f"{number:03}.png").save(place / f"copy{number}.bmp")
    counts = built(place, tmp_path / "out")
    assert (counts["pictures"], counts["duplicates"], counts["rotation/kept"]) == (15, 3, 24)


def test_processes_order_and_shards_change_nothing(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "p", 20)
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, file in enumerate(sorted(place.iterdir(), reverse=True)):
        (renamed / f"x{number:03}.png").write_bytes(file.read_bytes())
    built(place, tmp_path / "one")
    built(place, tmp_path / "two", processes=2)
    built(renamed, tmp_path / "other", pictures_per_shard=5)
    for split in ("train", "heldout"):
        assert rows(tmp_path / "one", split) == rows(tmp_path / "two", split) == rows(tmp_path / "other", split)
    built(place, tmp_path / "seed", ItemPlan(PLAN.tasks, 2, PLAN.max_pixels, seed=1))
    assert [r["answer"] for r in rows(tmp_path / "seed")] != [r["answer"] for r in rows(tmp_path / "one")]


def slowly(place: str, out: str) -> None:
    """A build that takes its time, to be killed; run by [`in_a_process`]."""
    from selfrl.pretext import building

    write = building.write_shard

    def late(path: Path, *args: Any) -> None:
        if len(list(Path(out).glob("train-*.parquet"))) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, *args)

    building.write_shard = late
    built(place, Path(out))


def test_a_build_that_was_killed_goes_on(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "p", 40)
    built(place, tmp_path / "whole")
    in_a_process(slowly, str(place), str(tmp_path / "killed"), returncode=-signal.SIGKILL)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("train-*.parquet")}
    assert len(written) == 2
    time.sleep(0.01)
    counts = built(place, tmp_path / "killed")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in written.items())
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert counts == json.loads((tmp_path / "whole" / "counts.json").read_text())
    assert not list((tmp_path / "killed").glob("*.tmp"))
    with pytest.raises(ValueError, match="holds another build"):
        built(place, tmp_path / "killed", held_out=0.5)
    (place / "000.png").rename(place / "zzz.png")
    with pytest.raises(ValueError, match="holds another build"):
        built(place, tmp_path / "killed")


def test_pictures_come_from_everywhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [texture(rng, (40, 40)) for _ in range(6)]
    np.save(tmp_path / "a.npy", np.stack([np.asarray(p) for p in pictures]))
    np.savez(tmp_path / "a.npz", np.stack([np.asarray(p) for p in pictures]))
    Dataset.from_dict({"n": list(range(6)), "photo": pictures}, features=None).cast_column(
        "photo", ImageFeature()
    ).to_parquet(str(tmp_path / "a.parquet"))
    (tmp_path / "files").mkdir()
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / "files" / f"{number}.png")
    for where in ("a.npy", "a.npz", "a.parquet", "files"):
        source = PictureSource(str(tmp_path / where))
        assert [content_hash(source.read(i)) for i in range(6)] == [content_hash(p) for p in pictures]
    grey = np.arange(64 * 4, dtype=np.uint8).reshape(4, 8, 8)
    np.save(tmp_path / "grey.npy", grey)
    assert PictureSource(str(tmp_path / "grey.npy")).read(1).getpixel((0, 0)) == (64, 64, 64)


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("nowhere.parquet", OSError, "does not exist"),
        ("nowhere.npy", OSError, "does not exist"),
        ("empty", ValueError, "holds no pictures"),
        ("text.txt", ValueError, "is no folder, .parquet"),
        ("flat.npy", ValueError, "has the shape"),
        ("none.parquet", ValueError, "no column of pictures"),
    ],
)
def test_what_holds_no_pictures_is_refused(where: str, error: type, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    np.save(tmp_path / "flat.npy", np.zeros((4, 4)))
    Dataset.from_dict({"n": [1, 2]}).to_parquet(str(tmp_path / "none.parquet"))
    with pytest.raises(error, match=message):
        PictureSource(str(tmp_path / where))


def bomb() -> bytes:
    """A file of 100 bytes that says it is 30,000 x 30,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_every_kind_of_picture_is_taken_or_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    place = folder_of(tmp_path / "p", 40)
    base = texture(rng, (64, 48))
    base.convert("L").save(place / "grey.png")
    base.convert("1").save(place / "bits.png")
    base.convert("CMYK").save(place / "cmyk.jpg")
    base.convert("P").save(place / "palette.png", transparency=0)
    veiled = base.convert("RGBA")
    veiled.putalpha(90)
    veiled.save(place / "rgba.png")
    Image.fromarray((rng.random((50, 50)) * 65535).astype(np.uint16)).save(place / "sixteen.png")
    Image.fromarray(rng.random((50, 50)).astype(np.float32)).save(place / "float.tif")
    base.save(place / "moving.gif", save_all=True, append_images=[noise(rng, (64, 48))])
    (place / "turned.jpg").write_bytes(jpeg(base, 6))
    whole = (place / "000.png").read_bytes()
    for name, data in {"empty.png": b"", "cut.png": whole[:600], "text.jpg": b"hello", "bomb.png": bomb()}.items():
        (place / name).write_bytes(data)
    Image.new("RGB", (3, 3)).save(place / "dot.png")
    counts = built(place, tmp_path / "out", max_dropped=0.2)
    assert counts["pictures"] == 54
    assert counts["pictures unreadable"] == 3
    assert counts["pictures too many pixels"] == 1
    assert counts["rotation/too small"] == 2
    assert counts["rotation/kept"] == 2 * (54 - 5)
    for row in load_rows(str(tmp_path / "out"), "train"):
        assert {picture.mode for picture in row["images"]} == {"RGB"}


def test_a_picture_is_turned_upright_before_it_is_turned(tmp_path: Path) -> None:
    base = Image.linear_gradient("L").resize((64, 48)).convert("RGB")  # light below
    sideways = base.transpose(Image.Transpose.ROTATE_90)  # as a camera stores it that notes "turn me by 90"
    upright = read_picture(jpeg(sideways, 6))
    assert upright.size == base.size
    difference = np.abs(np.asarray(upright, dtype=int) - np.asarray(base, dtype=int)).mean()
    assert difference < 2  # the JPEG's own; upside down it would be over 100
    for orientation in range(1, 9):
        assert read_picture(jpeg(base, orientation)).size == (base.size if orientation < 5 else base.size[::-1])


def test_transparency_is_shown_on_white_and_sixteen_bits_are_scaled() -> None:
    import io

    def through(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return read_picture(buffer.getvalue())

    assert through(Image.new("RGBA", (2, 2), (10, 20, 30, 0))).getpixel((0, 0)) == (255, 255, 255)
    ramp = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    assert [through(ramp).getpixel((x, 0))[0] for x in range(3)] == [0, 127, 255]  # type: ignore[index]


def test_a_file_tells_only_its_size(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "p", 10)
    Image.new("RGB", (64, 64), "red").save(place / "flat.png")
    built(place, tmp_path / "out")
    lengths: dict[tuple[int, int], set[int]] = {}
    for row in rows(tmp_path / "out"):
        for picture in row["images"]:
            size = read_picture(picture["bytes"]).size
            lengths.setdefault(size, set()).add(len(picture["bytes"]))
    assert all(len(found) == 1 for found in lengths.values())


def test_the_pixel_budget_is_kept_for_the_sum_of_a_prompts_pictures(tmp_path: Path) -> None:
    place = tmp_path / "p"
    place.mkdir()
    for number, size in enumerate([(200, 150), (151, 333), (90, 90), (301, 299)]):
        noise(np.random.default_rng(number), size).save(place / f"{number}.png")
    counts = built(place, tmp_path / "out", ItemPlan(PLAN.tasks, 1, 20_000, 0), held_out=0.0)
    assert counts["rotation/kept"] == counts["jigsaw/kept"] == 4
    largest = []
    for row in load_rows(str(tmp_path / "out"), "train"):
        pixels = sum(p.width * p.height for p in row["images"])
        assert 7_900 < pixels <= 20_000
        largest.append(pixels)
    assert max(largest) > 19_000


@pytest.mark.parametrize(
    ("task", "why"),
    [(Rotation(min_side=90), "too small"), (ChannelOrder(), "without colours"), (Contrastive(), "budget")],
)
def test_dropping_more_than_a_twentieth_is_an_error(task: PictureTask, why: str, tmp_path: Path) -> None:
    place = folder_of(tmp_path / "p", 6)
    for number in range(5):
        Image.fromarray(np.full((40, 40), number * 9, dtype=np.uint8)).save(place / f"grey{number}.png")
    with pytest.raises(ValueError, match=rf"items of {task.name} were dropped \(.*{why}.*more than 5%"):
        built(place, tmp_path / "out", ItemPlan(((task, 0),), 1, 20_000, 0))
    assert json.loads((tmp_path / "out" / "counts.json").read_text())["pictures"] == 11


def test_negatives_are_never_the_same_picture(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "p", 8)
    for file in list(place.iterdir()):
        Image.open(file).save(place / f"copy_{file.stem}.bmp")
    plan = ItemPlan(((Contrastive(side=30), 0),), 6, 10**6, 0)
    counts = built(place, tmp_path / "out", plan, held_out=0.0)
    assert (counts["duplicates"], counts["contrastive/kept"]) == (8, 48)
    answers = load_rows(str(tmp_path / "out"), "train")["answer"]
    assert 12 < sum(answer == "positive" for answer in answers) < 36


def test_a_disparity_stands_beside_its_picture(tmp_path: Path) -> None:
    pictures, arrays = tmp_path / "p", tmp_path / "d"
    (pictures / "deep").mkdir(parents=True)
    (arrays / "deep").mkdir(parents=True)
    ramp = np.tile(1 / np.linspace(1, 9, 240), (90, 1))
    for number in range(4):
        noise(np.random.default_rng(number), (240, 90)).save(pictures / "deep" / f"{number}.jpg")
        np.save(arrays / "deep" / f"{number}.npy", ramp if number else ramp[:, :100])
    noise(np.random.default_rng(9), (240, 90)).save(pictures / "alone.png")
    source = PictureSource(str(pictures), disparity=str(arrays))
    plan = ItemPlan(((DepthOrder(), 0),), 2, 10**6, 0)
    counts = build(Build(source, plan, tmp_path / "out", held_out=0.0, max_dropped=0.5))
    assert counts["depth_order/kept"] == 6
    assert counts["depth_order/no disparity"] == 2
    assert counts["depth_order/disparity of another size"] == 2
    for row in load_rows(str(tmp_path / "out"), "train"):
        near, middle, far = json.loads(row["facts"])["places"]
        assert near[1] < middle[1] < far[1]


def test_the_command_builds_shows_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, out = folder_of(tmp_path / "p", 12), tmp_path / "out"
    argv = ["pretext", "build", str(place), "--task", "jigsaw", "--grid=2x1", "--min_side", "8", "--task", "rotation"]
    assert main([*argv, "--held_out", "0.25", "--processes", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "jigsaw/kept" in said
    assert f"{out} holds the data set" in " ".join(said.split())
    tasks = {json.loads(spec)["task"]: json.loads(spec) for spec in load_rows(str(out), "train")["task"]}
    assert tasks["jigsaw"]["grid"] == "2x1"
    assert tasks["jigsaw"]["min_side"] == 8
    assert tasks["rotation"]["min_side"] == 28
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width == 1100
    staged = [*argv[:3], "--task", "rotation", "--stages", "--processes", "1", "--out", str(tmp_path / "staged")]
    assert main(staged) == 0
    assert set(load_rows(str(tmp_path / "staged"), "train")["stage"]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["build", "p"], "No task is named"),
        (["build", "p", "--task", "rotatoin"], "did you mean `rotation`"),
        (["build", "p", "--task", "rotation", "--step", "50"], "it must divide 360"),
        (["build", "p", "--task", "rotation", "--step", "x"], "--step of rotation is 'x'"),
        (["build", "p", "--task", "jigsaw", "--grid", "1"], "write rows x columns"),
        (["build", "p", "--task", "jigsaw", "--grid"], "--grid has no value"),
        (["build", "p", "--task", "rotation", "--task", "link"], "cannot be mixed"),
        (["build", "nowhere.npy", "--task", "rotation"], "does not exist"),
        (["bild", "p"], "is no command of `selfrl pretext`"),
        (["build", "networkx:karate", "--task", "link"], "choose among karate_club"),
    ],
)
def test_bad_commands_end_in_one_sentence(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pretext", *argv]) == 2
    said = capsys.readouterr().err
    assert said.startswith("selfrl pretext: ")
    assert message in said
    assert said.count("\n") == 1


def test_a_graph_is_asked_about_from_an_edge_list(tmp_path: Path) -> None:
    import networkx as nx

    graph = nx.karate_club_graph()
    lines = "\n".join(f"a{u},a{v},1" for u, v in graph.edges)
    (tmp_path / "edges.csv").write_text("# source,target,weight\n" + lines)
    (tmp_path / "nodes.csv").write_text("id,club\n" + "\n".join(f"a{n},{c}" for n, c in graph.nodes(data="club")))
    argv = ["pretext", "build", str(tmp_path / "edges.csv"), "--nodes", str(tmp_path / "nodes.csv")]
    argv += ["--task", "link", "--task", "attribute", "--attribute", "club", "--options_shown", "2"]
    assert main([*argv, "--items", "60", "--held_out", "0.3", "--out", str(tmp_path / "out")]) == 0
    centres = {}
    for split, share in (("train", 42), ("heldout", 18)):
        data = load_rows(str(tmp_path / "out"), split)
        assert len(data) == share
        assert data[0]["prompt"][0]["role"] == "user"
        facts = [json.loads(fact) for fact in data["facts"]]
        centres[split] = {fact.get("centre") or fact["pair"][0] for fact in facts}
    assert not centres["train"] & centres["heldout"]
