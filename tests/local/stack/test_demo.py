"""The demo's clinics: made once, kept, and made again when the API no longer knows them."""

import asyncio
from pathlib import Path

from aiohttp import web

from local.stack.demo import CLINICS, Demo, prepare
from local.stack.ports import HOST, free_port
from local.stack.simulator import people
from local.stack.state import StateFolder


class _Api:
    """An API that knows the keys it made."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.keys = {"admin-1"}

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/v1/clinics", self._list)
        application.router.add_post("/v1/clinics", self._make_clinic)
        application.router.add_post("/v1/clinics/{clinic}/api-keys", self._make_key)
        application.router.add_get("/v1/clinics/{clinic}/channels", self._list)
        return application

    def _known(self, request: web.Request) -> None:
        if request.headers["Authorization"].removeprefix("Bearer ") not in self.keys:
            raise web.HTTPUnauthorized

    async def _list(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response({"data": []})

    async def _make_clinic(self, request: web.Request) -> web.Response:
        self._known(request)
        self.made.append((await request.json())["name"])
        return web.json_response({"clinic_id": f"cli_{len(self.made)}"}, status=201)

    async def _make_key(self, request: web.Request) -> web.Response:
        self._known(request)
        key = f"rk_{request.match_info['clinic']}"
        self.keys.add(key)
        return web.json_response({"api_key": key}, status=201)


def _prepare(api: _Api, folder: Path, *, times: int) -> tuple[Demo, int]:
    asked = 0

    async def make_admin_key() -> str:
        nonlocal asked
        asked += 1
        return "admin-1"

    async def run() -> Demo:
        runner = web.AppRunner(api.application())
        await runner.setup()
        port = free_port(0)
        await web.TCPSite(runner, HOST, port).start()
        try:
            for _ in range(times):
                demo = await prepare(f"http://{HOST}:{port}", StateFolder(folder), make_admin_key, clinics=True)
        finally:
            await runner.cleanup()
        return demo

    return asyncio.run(run()), asked


def test_clinics_and_keys_are_made_once_and_found_again(tmp_path: Path) -> None:
    """A second run uses the same clinics, so that their keys in people's shells stay good."""
    api = _Api()
    demo, asked = _prepare(api, tmp_path, times=2)
    assert api.made == list(CLINICS.values())
    assert asked == 1
    assert demo.clinics["aurora"].api_key == "rk_cli_1"


def test_what_the_api_no_longer_knows_is_made_again(tmp_path: Path) -> None:
    """After a lost state the kept keys are refused, and new ones take their place."""
    _prepare(_Api(), tmp_path, times=1)
    emptied = _Api()
    emptied.keys.clear()
    emptied.keys.add("admin-1")
    _prepare(emptied, tmp_path, times=1)
    assert emptied.made == list(CLINICS.values())


def test_the_people_cover_brazils_two_forms_of_a_number() -> None:
    """Some patients are registered without the ninth digit, and the last five numbers have no WhatsApp."""
    phones = {person["number"]: person.get("registered_as") for person in people()}
    assert phones["5511977770001"] is None
    assert phones["5511977770005"] == "551177770005"
    assert "5511977770046" not in phones
    assert "5511988880001" in phones
