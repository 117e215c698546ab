"""People sign in at the pool that the templates made, as the dashboard does, and use the API with what they get."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.e2e

_RETURN_TO = "http://localhost:8080/dashboard/"
_PASSWORD = "Uma senha bem comprida 1!"


@dataclass(frozen=True, slots=True)
class Pool:
    """The people's pool in the emulator, and whoever administers it."""

    url: str
    pool_id: str
    client_id: str
    administrator: Any

    def invite(self, clinic_id: str | None, *groups: str) -> str:
        """Take somebody in as docs/deploy.md says, with a password of their own already; return their address."""
        email = f"{secrets.token_hex(6)}@people.example"
        attributes = {"email": email, "email_verified": "true"}
        if clinic_id:
            attributes["custom:clinic_id"] = clinic_id
        self.administrator.admin_create_user(
            UserPoolId=self.pool_id,
            Username=email,
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
            MessageAction="SUPPRESS",
        )
        for group in groups:
            self.administrator.admin_add_user_to_group(UserPoolId=self.pool_id, Username=email, GroupName=group)
        self.administrator.admin_set_user_password(
            UserPoolId=self.pool_id, Username=email, Password=_PASSWORD, Permanent=True
        )
        return email

    def sign_in(self, email: str) -> dict[str, str]:
        """Sign somebody in by the hosted pages, as the dashboard does: authorization code with PKCE, no secret."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": self.client_id,
            "redirect_uri": _RETURN_TO,
            "response_type": "code",
            "scope": "openid email profile",
            "state": "of this test",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as browser:
            back = browser.post("/login", data={**asked, "username": email, "password": _PASSWORD})
            assert back.status_code == 302, back.text
            address = urlsplit(back.headers["location"])
            assert f"{address.scheme}://{address.netloc}{address.path}" == _RETURN_TO
            exchange = {
                "grant_type": "authorization_code",
                "client_id": self.client_id,
                "redirect_uri": _RETURN_TO,
                "code": parse_qs(address.query)["code"][0],
            }
            answer = browser.post("/oauth2/token", data={**exchange, "code_verifier": verifier})
            assert answer.status_code == 200, answer.text
            tokens: dict[str, str] = answer.json()
            return tokens


@pytest.fixture(scope="module")
def pool(stack: RunningStack) -> Pool:
    """The pool, as its stack's outputs name it."""
    described = stack.aws("cloudformation").describe_stacks(StackName="recado-local-identity")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    url = str(stack.described["emulator_url"])
    return Pool(url, outputs["UserPoolId"], outputs["DashboardClientId"], stack.aws("cognito-idp"))


def _clinic(stack: RunningStack, name: str) -> str:
    answer = stack.admin().post("/v1/clinics", json={"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["clinic_id"])


def test_people_reach_their_own_clinic_with_the_rights_of_their_role(stack: RunningStack, pool: Pool) -> None:
    """From the invitation to an answer of the API, through the pool's own signature and published keys."""
    own, other = _clinic(stack, "Clínica das pessoas"), _clinic(stack, "Outra clínica")
    tokens = pool.sign_in(pool.invite(own, "clinic_managers"))
    manager = stack.client(tokens["id_token"])
    assert manager.get(f"/v1/clinics/{own}").json()["clinic_id"] == own
    assert manager.post(f"/v1/clinics/{own}/channels", json={"name": "Recepção"}).status_code == 201
    for path in ("", "/channels", "/messages"):
        answer = manager.get(f"/v1/clinics/{other}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "clinic_not_found")
    assert manager.get("/v1/clinics").status_code == 403

    attendant = stack.client(pool.sign_in(pool.invite(own, "clinic_attendants"))["id_token"])
    assert len(attendant.get(f"/v1/clinics/{own}/channels").json()["data"]) == 1
    assert attendant.post(f"/v1/clinics/{own}/channels", json={"name": "x"}).status_code == 403

    operator = stack.client(pool.sign_in(pool.invite(None, "operators"))["id_token"])
    assert operator.get(f"/v1/clinics/{other}").status_code == 200
    assert operator.get(f"/v1/clinics/{other}/messages").status_code == 403


def test_only_the_id_token_of_somebody_with_a_role_opens_anything(stack: RunningStack, pool: Pool) -> None:
    """Access tokens are for the pool itself; without a group there is nothing to do here."""
    own = _clinic(stack, "Clínica das pessoas")
    tokens = pool.sign_in(pool.invite(own, "clinic_managers"))
    nobody = pool.sign_in(pool.invite(own))
    signature = tokens["id_token"].rpartition(".")[2]
    for token in (
        tokens["access_token"],
        nobody["id_token"],
        f"{nobody['id_token'].rpartition('.')[0]}.{signature}",
    ):
        answer = stack.client(token).get(f"/v1/clinics/{own}/channels")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
