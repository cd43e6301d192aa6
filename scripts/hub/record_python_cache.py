"""Records how huggingface_hub lays out its cache: fixtures/hub/python-cache.json, which test/hub/cache.test.ts compares with ours.

Run in the repository's root, with huggingface_hub installed (2.4.0 made the file that is checked in):
    python scripts/hub/record_python_cache.py
"""

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

OUTPUT = Path("fixtures/hub/python-cache.json")
REPOSITORIES = {
    "acme/tiny": [
        "config.json",
        "generation_config.json",
        "model-*.safetensors",
        "model.safetensors.index.json",
        "special_tokens_map.json",
        "tokenizer*",
    ],
    "acme/tiny-flax": ["2b/*", "tokenizer.model"],
}


def describe(path: Path) -> str:
    if path.is_symlink():
        return "link " + os.readlink(path)
    return "sha256 " + hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    server = subprocess.Popen(
        ["node", "--import", "tsx", "test/hub/serve-sample.ts"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    os.environ.update(HF_ENDPOINT=server.stdout.readline().strip(), HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1")
    import huggingface_hub  # reads the environment as it is imported

    with tempfile.TemporaryDirectory() as cache:
        for repository, patterns in REPOSITORIES.items():
            huggingface_hub.snapshot_download(repository, allow_patterns=patterns, cache_dir=cache)
        paths = sorted(path for path in Path(cache).rglob("*") if not path.is_dir() and ".locks" not in path.parts)
        layout = {str(path.relative_to(cache)): describe(path) for path in paths}
    server.stdin.close()
    server.wait()

    layout.pop("CACHEDIR.TAG", None)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    recorded = {"made_by": f"huggingface_hub {huggingface_hub.__version__}", "layout": layout}
    OUTPUT.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
