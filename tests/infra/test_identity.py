"""The people's pool: who may come in, what they may change of themselves, and how long a token lasts."""

from typing import Any

import pytest

from infra.config import Stage, StageSettingError
from infra.stacks.identity import CLINIC_ATTRIBUTE, ROLES
from recado.clinics.model import Role
from tests.infra.template import Templates


def _pool(stage: Templates) -> dict[str, Any]:
    (pool,) = stage.properties("AWS::Cognito::UserPool")
    return pool


def _client(stage: Templates) -> dict[str, Any]:
    (client,) = stage.properties("AWS::Cognito::UserPoolClient")
    return client


def test_people_are_invited_and_sign_in_by_email(prod: Templates) -> None:
    """Nobody can make an account for themselves, and an address in capitals is the same address."""
    pool = _pool(prod)
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
    assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [{"Name": "verified_email", "Priority": 1}]


def test_passwords_are_long_and_a_second_factor_is_demanded_in_production(prod: Templates, local: Templates) -> None:
    """An authenticator app and no SMS; a stage may leave it to each person."""
    policy = dict(_pool(prod)["Policies"]["PasswordPolicy"])
    assert policy.pop("MinimumLength") == 12
    assert policy.pop("TemporaryPasswordValidityDays") == 3
    assert set(policy.values()) == {True}
    assert (_pool(prod)["MfaConfiguration"], _pool(local)["MfaConfiguration"]) == ("ON", "OPTIONAL")
    for stage in (prod, local):
        assert _pool(stage)["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]


def test_nobody_can_change_which_clinic_they_work_for(prod: Templates, local: Templates) -> None:
    """The attribute is immutable; and the client may write something else, since none at all would mean everything."""
    for stage in (prod, local):
        (attribute,) = _pool(stage)["Schema"]
        assert (attribute["Name"], attribute["Mutable"]) == (CLINIC_ATTRIBUTE, False)
        assert attribute["StringAttributeConstraints"] == {"MinLength": "30", "MaxLength": "30"}
        assert _client(stage)["WriteAttributes"] == ["name"]
        assert f"custom:{CLINIC_ATTRIBUTE}" in _client(stage)["ReadAttributes"]


def test_each_role_is_a_group(prod: Templates) -> None:
    """The domain knows the same roles; groups give no AWS rights: nobody of these reaches AWS itself."""
    assert set(ROLES) == {role.value for role in Role}
    groups = prod.properties("AWS::Cognito::UserPoolGroup")
    assert {group["GroupName"] for group in groups} == set(ROLES)
    assert all("RoleArn" not in group for group in groups)


def test_the_pool_outlives_its_stack_where_data_does(prod: Templates, local: Templates) -> None:
    """Protected against deletion, and kept; elsewhere it goes with the stack."""
    for stage, protection, policy in ((prod, "ACTIVE", "Retain"), (local, "INACTIVE", "Delete")):
        (pool,) = (resource for _, resource in stage.resources("AWS::Cognito::UserPool"))
        assert (pool["Properties"]["DeletionProtection"], pool["DeletionPolicy"]) == (protection, policy)


def test_the_dashboard_keeps_no_secret_and_never_sends_a_password(prod: Templates, crowded: Templates) -> None:
    """SRP, or the code grant (PKCE comes with a client that has no secret); tokens can be revoked."""
    for stage in (prod, crowded):
        client = _client(stage)
        assert client["GenerateSecret"] is False
        assert set(client["ExplicitAuthFlows"]) == {"ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
        assert client["EnableTokenRevocation"] is True
        assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_tokens_live_a_quarter_of_an_hour(prod: Templates) -> None:
    """What is signed cannot be taken back before it expires; people stay signed in for a week."""
    client = _client(prod)
    assert set(client["TokenValidityUnits"].values()) == {"minutes"}
    assert (client["IdTokenValidity"], client["AccessTokenValidity"]) == (15, 15)
    assert client["RefreshTokenValidity"] == 7 * 24 * 60


def test_sign_in_pages_exist_where_the_stage_names_the_dashboards_addresses(
    prod: Templates, crowded: Templates
) -> None:
    """And lead back to these addresses only."""
    assert _client(prod)["AllowedOAuthFlowsUserPoolClient"] is False
    assert prod.properties("AWS::Cognito::UserPoolDomain") == []
    client = _client(crowded)
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["CallbackURLs"] == client["LogoutURLs"] == ["https://painel.example/"]
    assert len(crowded.properties("AWS::Cognito::UserPoolDomain")) == 1


def test_threat_protection_comes_with_its_plan_only(prod: Templates, crowded: Templates) -> None:
    """It is paid for each person."""
    assert (_pool(prod)["UserPoolTier"], _pool(crowded)["UserPoolTier"]) == ("LITE", "PLUS")
    assert "UserPoolAddOns" not in _pool(prod)
    assert _pool(crowded)["UserPoolAddOns"]["AdvancedSecurityMode"] == "ENFORCED"


def test_pool_and_stack_are_tagged(prod: Templates) -> None:
    """Cost reports find them."""
    assert _pool(prod)["UserPoolTags"] == {"recado:component": "identity", "recado:stage": "prod"}


def test_the_stack_tells_pool_client_and_issuer(prod: Templates, crowded: Templates) -> None:
    """What a dashboard, and whoever invites the first person, need to know; it needs no other stack."""
    body = prod.stacks["recado-prod-identity"]
    assert {"UserPoolId", "DashboardClientId", "IdentityIssuer"} < set(body["Outputs"])
    assert "Fn::ImportValue" not in str(body)
    assert "SignInUrl" in crowded.stacks["recado-crowded-identity"]["Outputs"]


@pytest.mark.parametrize(
    "setting",
    [
        {"identity_mfa": "off"},
        {"identity_plan": "free"},
        {"dashboard_urls": ("http://painel.example/",)},
        {"dashboard_urls": ("https://painel.example/#top",)},
        {"dashboard_urls": ("http://localhost.example/",)},
    ],
)
def test_a_wrong_identity_setting_is_refused_by_name(setting: dict[str, Any]) -> None:
    """Cognito would refuse it later, and less clearly."""
    (name,) = setting
    with pytest.raises(StageSettingError, match=name):
        Stage(name="x", shared_shards=1, **setting)


@pytest.mark.parametrize("url", ["http://localhost/", "http://localhost:8080/dashboard/", "https://painel.example"])
def test_addresses_that_cognito_takes_are_taken(url: str) -> None:
    """https anywhere, http on this machine."""
    assert Stage(name="x", shared_shards=1, dashboard_urls=(url,)).dashboard_urls == (url,)
