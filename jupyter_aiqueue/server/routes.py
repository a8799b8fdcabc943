"""The REST interface: thin handlers, and threads for what they wait for.

`openapi.yaml`, beside this file, describes it.
"""

# mypy: disable-error-code="untyped-decorator"
# (the server's own decorator has no usable type)

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler

from ..core.errors import AIQueueError
from .refusals import refusal
from .requests import Changes, Submission, read_body, read_selection, read_time

if TYPE_CHECKING:
    from .app import AIQueueExtension

API = "/aiqueue/api"


class Endpoint(APIHandler):
    """Answers with what work in a thread returns, or with why it was refused."""

    auth_resource = "aiqueue"

    def initialize(self, extension: AIQueueExtension) -> None:
        """Receive the extension from the table of routes."""
        self.extension = extension
        # An open sidebar asks again and again: that must not keep a server from being culled.
        self._track_activity = self.request.method != "GET"

    async def answer(
        self, threads: Executor, work: Callable[[], dict[str, Any]], status: int = 200
    ) -> None:
        """Do ``work`` in one of ``threads`` and send what it returns as JSON."""
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(threads, lambda: msgspec.json.encode(work()))
        except AIQueueError as error:
            status, reason = refusal(error)
            self.log.warning("%s: %s", reason, error)
            body = msgspec.json.encode({"message": str(error), "reason": reason})
        except asyncio.CancelledError as error:
            # What had not begun when the server was told to end does not begin any more.
            raise tornado.web.HTTPError(503, "The server is ending.") from error
        self.set_status(status)
        await self.finish(body)

    def query(self, name: str) -> str | None:
        """A parameter of the query, as it is."""
        return self.get_query_argument(name, None, strip=False)


class LoadEndpoint(Endpoint):
    """How busy the system is."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self) -> None:
        """The newest snapshot."""
        loads, since = self.extension.loads, self.query("since")
        await self.answer(self.extension.watching, lambda: loads.look(read_time("since", since)))


class JobsEndpoint(Endpoint):
    """All jobs."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self) -> None:
        """A page of jobs, newest first."""
        jobs, query = self.extension.jobs, self.query
        ids = self.get_query_arguments("id", strip=False)

        def work() -> dict[str, Any]:
            return jobs.page(
                read_selection(
                    query("notebook"), query("state"), query("limit"), query("offset"), ids
                )
            )

        await self.answer(self.extension.reading, work)

    @tornado.web.authenticated
    @authorized(action="execute", resource="aiqueue")
    async def post(self) -> None:
        """Submit an experiment."""
        jobs, body = self.extension.jobs, self.request.body
        await self.answer(
            self.extension.asking, lambda: jobs.submit(read_body(body, Submission)), 201
        )


class RehearsalEndpoint(Endpoint):
    """What would become of a job."""

    @tornado.web.authenticated
    @authorized(action="execute", resource="aiqueue")
    async def post(self) -> None:
        """Foresee it, and send nothing."""
        jobs, body = self.extension.jobs, self.request.body
        await self.answer(self.extension.asking, lambda: jobs.rehearse(read_body(body, Submission)))


class JobEndpoint(Endpoint):
    """One job."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self, job_id: str) -> None:
        """All that is known of it."""
        jobs = self.extension.jobs
        await self.answer(self.extension.reading, lambda: jobs.get(job_id))

    @tornado.web.authenticated
    @authorized(action="execute", resource="aiqueue")
    async def delete(self, job_id: str) -> None:
        """Remove its record."""
        jobs = self.extension.jobs
        await self.answer(self.extension.asking, lambda: jobs.remove(job_id))


class HistoryEndpoint(Endpoint):
    """What happened to one job."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self, job_id: str) -> None:
        """Its events, and how its metrics went."""
        jobs = self.extension.jobs
        await self.answer(self.extension.reading, lambda: jobs.history(job_id))


class LogEndpoint(Endpoint):
    """The output of one job."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self, job_id: str) -> None:
        """Its last lines."""
        jobs = self.extension.jobs
        await self.answer(self.extension.asking, lambda: jobs.log(job_id))


class ForecastEndpoint(Endpoint):
    """What is expected of one job."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self, job_id: str) -> None:
        """Its place in line, and when it starts and ends."""
        jobs = self.extension.jobs
        await self.answer(self.extension.forecasting, lambda: jobs.forecast(job_id))


class CancelEndpoint(Endpoint):
    """The end of one job, before its time."""

    @tornado.web.authenticated
    @authorized(action="execute", resource="aiqueue")
    async def post(self, job_id: str) -> None:
        """Stop it, or keep it from starting."""
        jobs = self.extension.jobs
        await self.answer(self.extension.asking, lambda: jobs.cancel(job_id), 202)


class ReleaseEndpoint(Endpoint):
    """The end of one job's waiting for a quiet moment."""

    @tornado.web.authenticated
    @authorized(action="execute", resource="aiqueue")
    async def post(self, job_id: str) -> None:
        """Put it in line now."""
        jobs = self.extension.jobs
        await self.answer(self.extension.asking, lambda: jobs.release(job_id), 202)


class RetryEndpoint(Endpoint):
    """One job once more."""

    @tornado.web.authenticated
    @authorized(action="execute", resource="aiqueue")
    async def post(self, job_id: str) -> None:
        """Submit it again, as a new job."""
        jobs, body = self.extension.jobs, self.request.body
        await self.answer(
            self.extension.asking, lambda: jobs.retry(job_id, read_body(body, Changes)), 201
        )


class DescriptionEndpoint(Endpoint):
    """This interface."""

    @tornado.web.authenticated
    @authorized(action="read", resource="aiqueue")
    async def get(self) -> None:
        """Its description in OpenAPI's terms."""
        text = (files(__package__) / "openapi.yaml").read_text("utf-8")
        await self.finish(text, set_content_type="application/yaml")


#: By path below `API`, as `openapi.yaml` writes it.
ROUTES: dict[str, type[Endpoint]] = {
    "/load": LoadEndpoint,
    "/jobs": JobsEndpoint,
    "/jobs/rehearse": RehearsalEndpoint,
    "/jobs/{job_id}": JobEndpoint,
    "/jobs/{job_id}/history": HistoryEndpoint,
    "/jobs/{job_id}/log": LogEndpoint,
    "/jobs/{job_id}/forecast": ForecastEndpoint,
    "/jobs/{job_id}/cancel": CancelEndpoint,
    "/jobs/{job_id}/release": ReleaseEndpoint,
    "/jobs/{job_id}/retry": RetryEndpoint,
    "/openapi.yaml": DescriptionEndpoint,
}


def handlers(extension: AIQueueExtension) -> list[tuple[str, type[Endpoint], dict[str, Any]]]:
    """The routes as the server's web application takes them."""
    return [
        (
            API + path.replace(".", r"\.").replace("{job_id}", "([^/]+)"),
            endpoint,
            {"extension": extension},
        )
        for path, endpoint in ROUTES.items()
    ]
