"""Who the people are that use the platform: the clinics' staff and our operators."""

from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack, Tags
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.config import Stage
from infra.constructs.acknowledged import acknowledge

CLINIC_ATTRIBUTE = "clinic_id"
"""Which clinic a person works for; arrives in their tokens as ``custom:clinic_id``. Operators have none."""

ROLES = {
    "operators": "Those who run the platform: set clinics up, read no patient's message",
    "clinic_managers": "May do all that a clinic's own keys may",
    "clinic_attendants": "Read and answer patients, on channels that somebody else has set up",
}
"""The groups of the pool, each a role; ``recado.clinics.people`` says what it allows."""

_CLINIC_ID_LENGTH = len("cli_") + 26
_PLANS = {
    "lite": cognito.FeaturePlan.LITE,
    "essentials": cognito.FeaturePlan.ESSENTIALS,
    "plus": cognito.FeaturePlan.PLUS,
}
_TOKEN_LIFE = Duration.minutes(15)
_SIGNED_IN = Duration.days(7)


class IdentityStack(Stack):
    """The pool of people, its roles, and the one program that may sign them in: the dashboard.

    Attributes:
        pool: the people.
        dashboard: the dashboard's client id is the audience of the tokens that the API takes.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "identity")
        self._stage = stage
        self.pool = self._make_pool()
        for name, description in ROLES.items():
            cognito.CfnUserPoolGroup(
                self,
                name.title().replace("_", ""),
                user_pool_id=self.pool.user_pool_id,
                group_name=name,
                description=description,
            )
        self.dashboard = self._make_dashboard()
        CfnOutput(self, "UserPoolId", value=self.pool.user_pool_id)
        CfnOutput(self, "DashboardClientId", value=self.dashboard.user_pool_client_id)
        CfnOutput(self, "IdentityIssuer", value=self.issuer)
        if stage.dashboard_urls:
            CfnOutput(self, "SignInUrl", value=self._make_sign_in_pages().base_url())

    @property
    def issuer(self) -> str:
        """Who signs the tokens, as they say themselves.

        Written out, although the pool has the attribute ``ProviderURL``: the local emulator does not know it.
        """
        return f"https://cognito-idp.{self.region}.amazonaws.com/{self.pool.user_pool_id}"

    def _make_pool(self) -> cognito.UserPool:
        stage = self._stage
        plus = stage.identity_plan == "plus"
        pool = cognito.UserPool(
            self,
            "People",
            user_pool_name=f"recado-{stage.name}",
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            self_sign_up_enabled=False,
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            keep_original=cognito.KeepOriginalAttrs(email=True),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            # Immutable, whoever asks: somebody who changes clinics gets a new account. A client that is added one day
            # without a list of what it may write could otherwise let people choose their clinic.
            custom_attributes={
                CLINIC_ATTRIBUTE: cognito.StringAttribute(
                    min_len=_CLINIC_ID_LENGTH, max_len=_CLINIC_ID_LENGTH, mutable=False
                )
            },
            password_policy=cognito.PasswordPolicy(
                min_length=12,
                require_lowercase=True,
                require_uppercase=True,
                require_digits=True,
                require_symbols=True,
                temp_password_validity=Duration.days(3),
            ),
            mfa=cognito.Mfa.REQUIRED if stage.identity_mfa == "required" else cognito.Mfa.OPTIONAL,
            # Codes by SMS cost money and can be redirected by whoever takes over the number.
            mfa_second_factor=cognito.MfaSecondFactor(sms=False, otp=True),
            feature_plan=_PLANS[stage.identity_plan],
            standard_threat_protection_mode=cognito.StandardThreatProtectionMode.FULL_FUNCTION if plus else None,
            deletion_protection=stage.keep_data,
            removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
        )
        if stage.identity_mfa != "required":
            acknowledge(pool, "COG2", "the stage's setting identity_mfa leaves a second factor to each person")
        if not plus:
            reason = "threat protection is part of the plan plus, which is paid for each person: a setting of the stage"
            for rule in ("COG3", "COG8"):
                acknowledge(pool, rule, reason)
        return pool

    def _make_dashboard(self) -> cognito.UserPoolClient:
        """Make the client of a program that runs in browsers and so cannot keep a secret.

        It signs people in by the hosted pages (authorization code with PKCE) where the stage names the dashboard's
        addresses, or by SRP, which does not send the password.
        """
        urls = list(self._stage.dashboard_urls)
        readable = cognito.ClientAttributes().with_standard_attributes(email=True, email_verified=True, fullname=True)
        by_pages = cognito.OAuthSettings(
            flows=cognito.OAuthFlows(authorization_code_grant=True),
            scopes=[cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL, cognito.OAuthScope.PROFILE],
            callback_urls=urls,
            logout_urls=urls,
        )
        return self.pool.add_client(
            "Dashboard",
            user_pool_client_name="dashboard",
            generate_secret=False,
            auth_flows=cognito.AuthFlow(user_srp=True),
            disable_o_auth=not urls,
            o_auth=by_pages if urls else None,
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            # The API does not ask Cognito about each request: somebody who was shut out stays in until then.
            id_token_validity=_TOKEN_LIFE,
            access_token_validity=_TOKEN_LIFE,
            refresh_token_validity=_SIGNED_IN,
            read_attributes=readable.with_custom_attributes(CLINIC_ATTRIBUTE),
            # Never empty: Cognito takes an empty list for all of them, the custom ones included.
            write_attributes=cognito.ClientAttributes().with_standard_attributes(fullname=True),
        )

    def _make_sign_in_pages(self) -> cognito.UserPoolDomain:
        # Such names are shared by all accounts of a region.
        prefix = f"recado-{self._stage.name}-{Aws.ACCOUNT_ID}"
        return self.pool.add_domain("SignIn", cognito_domain=cognito.CognitoDomainOptions(domain_prefix=prefix))
