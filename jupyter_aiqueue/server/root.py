"""Notebooks by the server's paths (``lab/train.ipynb``) and by their places on disk."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from jupyter_server.utils import to_os_path

from ..core.errors import InvalidJob


class Root:
    """The folder that the server shows.

    Args:
        folder: its path; None when the server's contents are not files on this machine, so
            that no path means anything here.
    """

    def __init__(self, folder: str | None) -> None:
        self._folders: list[str] = []
        if folder is not None:
            # Kernels may see the folder through a link, or where the link points to.
            given = os.path.normpath(Path(folder).absolute())
            self._folders = [given, str(Path(given).resolve())]

    def on_disk(self, path: str) -> Path:
        """The absolute path of what the server calls ``path``.

        Raises:
            InvalidJob: it is no path below the folder.
        """
        if not self._folders:
            raise InvalidJob("bad-path", "This server's notebooks are not files on its machine.")
        place = to_os_path(path, self._folders[0])  # type: ignore[arg-type]  # an API path
        # After the normalisation a path with `..` may lie anywhere.
        if "\0" in path or Path(self._folders[0]) not in Path(place).parents:
            raise InvalidJob("bad-path", f"{path!r} is no file below the server's folder.")
        return Path(place)

    def notebook(self, path: str) -> Path:
        """Like `on_disk`, for a notebook that must be there."""
        place = self.on_disk(path)
        if not place.is_file():
            raise InvalidJob("bad-path", f"There is no notebook {path!r} on this server.")
        return place

    def shown(self, place: str | None) -> str | None:
        """What the server calls the file ``place``; None when it lies elsewhere."""
        if place is not None:
            for folder in self._folders:
                if PurePath(folder) in PurePath(place).parents:
                    return PurePath(place).relative_to(folder).as_posix()
        return None
