"""Slips in a ``%pin`` line: a name that is a letter off, a version that is not behind ``==``."""

from __future__ import annotations

import re
from typing import Collection, Optional, Sequence

from ..core.arguments import find_meant, is_near, quote
from ..core.errors import Slip, input_errors
from .requirements import requirement

#: Packages that notebooks use most, and those whose names are near one of these: strangers take
#: names that are a letter off.
_USED = frozenset(
    re.findall(
        r"\S+",
        """
        accelerate aiohttp albumentations altair anthropic astropy beautifulsoup4 bitsandbytes
        bokeh boto boto3 bpython catboost chromadb colab-magics ctransformers cupy
        cython dataset datasets deepspeed
        diffusers duckdb einops evaluate faiss-cpu faiss-gpu fastai fastapi fastparquet
        flash-attn flask gensim geopandas google-cloud-storage gradio grequests gymnasium h5py
        hdbscan httpx huggingface-hub imageio imbalanced-learn ipykernel ipython ipywidgets
        jaxlib joblib jupyterlab kaggle keras langchain langgraph librosa lightgbm lightning
        litellm llama-index loguru matplotlib mlflow mlxtend mock monai moviepy mypy networkx
        ngboost nltk notebook numba numexpr numpy nvidia-ml-py openai opencv-python openpyxl
        optuna pandas peft pillow plotly polars prophet psycopg2-binary pyaml pyarrow pydantic
        pymongo pyspark pytest pytorch-lightning pyyaml rasterio requests scapy scikit-image
        scikit-learn scipp scipy scrapy seaborn selenium sentence-transformers sentencepiece
        setuptools shapely simpy spacy sqlalchemy stable-baselines3 statsmodels streamlit sympy
        tensorboard tensorboardx tensorflow tiktoken timm tokenizers torch torchaudio torchmetrics
        torchvision torchx tornado transformers ultralytics umap-learn unsloth uxarray
        wand wandb wheel
        xarray xformers xgboost yfinance
        """,
    )
)
#: Modules whose package has another name.
_MODULES = {
    "cv2": "opencv-python",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
#: The shortest name that another may be a slip of: shorter ones are all near each other.
_SHORTEST = 5

_VERSION = r"v?\d+(?:\.\d+)*(?:[.-]?(?:a|b|rc|post|dev)\.?\d*)*(?:\.\*)?"
#: A name, an operator or none, and a version or a URL, as they are mistyped.
_TYPED = re.compile(
    r"(?P<name>[A-Z\d][\w.-]*(?:\[[\w,-]*\])?)\s*(?P<operator>[=<>~!]{1,3}|[@:]|\s)\s*"
    rf"(?:(?P<url>[\w+]+://\S+)|(?P<version>{_VERSION}(?:,\s*[=<>~!]+{_VERSION})*))",
    re.I,
)
#: What is typed for an operator, and is none.
_OPERATORS = {"": "==", "=": "==", "@": "==", ":": "==", "=>": ">=", "=<": "<="}


def find_slip(texts: Sequence[str]) -> Optional[Slip]:
    """Return the first words that can only be a slip, and the requirement that they mean.

    That is empty where it cannot be told; None: there is no slip.
    """
    for at, text in enumerate(texts):
        is_version = bool(re.fullmatch(_VERSION, text, re.I))
        if not is_version and _is_requirement(text):
            continue
        for start, end in ((at - 1, at + 2), (at - 1, at + 1), (at, at + 2), (at, at + 1)):
            typed = " ".join(texts[max(start, 0) : end])
            meant = _rewrite(typed)
            if meant:
                return typed, meant
        if is_version:
            return text, ""
    return None


def _rewrite(typed: str) -> str:
    """Return the requirement that a text means; empty where it is none."""
    match = _TYPED.fullmatch(typed)
    if match is None:
        return ""
    if match["url"]:
        return quote(f"{match['name']} @ {match['url']}") if match["operator"] == "@" else ""
    operator = match["operator"].strip()
    meant = f"{match['name']}{_OPERATORS.get(operator, operator)}{match['version']}"
    return "".join(meant.split()) if _is_requirement(meant) else ""


def _is_requirement(text: str) -> bool:
    try:
        url = requirement(text).url
    except input_errors():
        return False
    return url is None or ":" in url


def is_used(name: str) -> bool:
    """Return whether a canonical name is that of a package that many notebooks use."""
    return name in _USED


def find_near(name: str) -> str:
    """Return the much used package that a canonical name may be a slip of; empty: of none."""
    if is_used(name):
        return ""
    near = (used for used in _USED if len(used) >= _SHORTEST and is_near(name, used))
    return _MODULES.get(name) or min(near, default="")


def find_package(name: str, installed: Collection[str]) -> Optional[Slip]:
    """Return a name that no index has, and the package that it may mean."""
    other = find_near(name.lower())
    return (name, other) if other else find_meant(name, [*_USED, *installed], 0.75)
