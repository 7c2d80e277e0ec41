"""The studio's page and its files: compressed, and kept by browsers until another version is served."""

import hashlib
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

import samuel

FILES = Path(samuel.__file__).parent / "studio"
FOR_EVER = "public, max-age=31536000, immutable"
FOR_AN_HOUR = "public, max-age=3600"


def add_page(api: FastAPI) -> None:
    """`/`, which names its files by their version, `/studio/VERSION/...` and `/studio/...`."""
    version = version_of(FILES)
    page = (FILES / "index.html").read_text().replace("{{files}}", f"studio/{version}")

    async def studio(scope: Scope, receive: Receive, send: Send) -> None:
        answer = page.replace("{{nonce}}", scope["state"]["nonce"])
        await HTMLResponse(answer, headers={"Cache-Control": "no-cache"})(scope, receive, send)

    api.router.routes.append(Route("/", GZipMiddleware(studio, minimum_size=1000), methods=["GET"]))
    for path, lifetime in ((f"/studio/{version}", FOR_EVER), ("/studio", FOR_AN_HOUR)):
        api.mount(path, GZipMiddleware(KeptFiles(FILES, lifetime), minimum_size=1000))


def version_of(folder: Path) -> str:
    """Another one when any file of the folder is another."""
    content = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            content.update(f"{file.relative_to(folder)} {file.stat().st_size} ".encode() + file.read_bytes())
    return content.hexdigest()[:16]


class KeptFiles(StaticFiles):
    """Files that a browser may keep."""

    def __init__(self, folder: Path, lifetime: str):
        super().__init__(directory=folder)
        self.lifetime = lifetime

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = self.lifetime
        return response
