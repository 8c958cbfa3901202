"""Where a policy's files come from: a folder, the installed package, or a bundle; what was read is kept.

Files are known by name: relative to the policy's folder, and `shipped/...` for those of the package. A bundle
holds the files that a policy was made of under the same names, so it means the same wherever it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path, PurePosixPath

SHIPPED = "shipped/"
SHIPPED_PREFIX = "assay."  # policies of this name come with the package
MAX_FILE_BYTES = 64 * 2**20  # one list file; 150,000 people with aliases take about 20 MB


def shipped_folder() -> Path:
    """Returns where the shipped policies are installed."""
    return Path(str(resources.files("policies")))


@dataclass(frozen=True)
class PolicyFiles:
    """Reads files by name and remembers them in `read_so_far`.

    `folder` is where the policy lies (None: nowhere), `contents` the files of a bundle, which then are the
    only ones; `prefix` stands before every name.
    """

    folder: Path | None = None
    contents: Mapping[str, bytes] | None = None
    prefix: str = ""
    read_so_far: dict[str, bytes] = field(default_factory=dict)

    def read(self, file: str) -> bytes | str:
        """Returns the bytes of a file, or what is wrong with it."""
        if ".." in PurePosixPath(file).parts:
            return "leaves the policy's folder"
        found = self._find(file)
        if isinstance(found, bytes):
            self.read_so_far[self.prefix + file] = found
        return found

    def _find(self, file: str) -> bytes | str:
        if self.contents is not None:
            return self.contents.get(self.prefix + file, "is not in the bundle")
        if self.folder is None:
            return "cannot be found: this policy was not read from a folder"
        path = self.folder / file
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                return f"is larger than {MAX_FILE_BYTES:,} bytes"
            return path.read_bytes()
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def base(self, name: str) -> tuple[str, PolicyFiles]:
        """Returns the file of a policy that is extended, and where its own files are."""
        if not name.startswith(SHIPPED_PREFIX) or name.endswith(".yaml"):
            return name, self
        folder = None if self.contents is not None else shipped_folder()
        return name.removeprefix(SHIPPED_PREFIX) + ".yaml", replace(self, folder=folder, prefix=SHIPPED)

    def place(self, file: str) -> str:
        """Returns what messages call a file."""
        return self.prefix + file if self.folder is None else str(self.folder / file)
