"""Records what TensorStore itself reads from Orbax checkpoints, as the truth that our reader is tested against.

    pip install tensorstore==0.1.86 numpy ml_dtypes
    python scripts/goldens/hash_flax.py GOLDENS/checkpoints fixtures/goldens/flax-tensors.json

GOLDENS/checkpoints holds folders MODEL/flax-KIND. Written: a list of {checkpoints: [such paths], arrays: {name: [dtype,
shape, sha256]}}, where checkpoints with the same arrays share an entry, and sha256 is that of the elements in row-major
order, little-endian. Nothing of Orbax is used: the arrays are found by their zarr headers in the OCDBT database or in the
folder.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import tensorstore as ts

HEADERS = {".zarray": "zarr", "zarr.json": "zarr3"}


def item_folder(folder: pathlib.Path) -> pathlib.Path:
    """The folder with the arrays: the one that has _METADATA, however deep (the goldens have one each)."""
    (found,) = folder.rglob("_METADATA")
    return found.parent


def read_arrays(folder: pathlib.Path) -> dict:
    path = f"{folder.resolve()}/"
    store = {"driver": "file", "path": path}
    if (folder / "manifest.ocdbt").exists():
        store = {"driver": "ocdbt", "base": f"file://{path}"}
    arrays = {}
    for key in ts.KvStore.open(store).result().list().result():
        name, _, header = key.decode().rpartition("/")
        if header not in HEADERS or not name:
            continue
        spec = {"driver": HEADERS[header], "kvstore": {**store, "path": store.get("path", "") + name + "/"}}
        array = np.ascontiguousarray(ts.open(spec, open=True).result().read().result())
        arrays[name] = [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    return dict(sorted(arrays.items()))


def main(checkpoints: str, output: str) -> None:
    root = pathlib.Path(checkpoints)
    kinds = sorted(root.glob("*/flax-*"))
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        arrays = json.dumps(read_arrays(item_folder(kind)), separators=(",", ":"))
        groups.setdefault(arrays, []).append(str(kind.relative_to(root)))
    lines = [f'{{"checkpoints":{json.dumps(paths)},\n"arrays":{arrays}}}' for arrays, paths in groups.items()]
    pathlib.Path(output).write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
