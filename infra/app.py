"""Synthesises the templates of one stage: ``cdk deploy --all -c stage=<name>``, or ``python -m infra.app``.

Without the CDK's command line the context comes from ``CDK_CONTEXT_JSON`` and the output folder from ``CDK_OUTDIR``,
which the CDK itself reads; the rest of the context is always that of ``cdk.json``. The context
``placeholder_assets=<folder>`` leaves the code out, for whoever puts it in while deploying; with the context
``checks`` the AWS Solutions checks write what they find into ``validation-report.json``.
"""

import json
from pathlib import Path

from aws_cdk import App, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from infra.assets import REPOSITORY, Assets, PlaceholderAssets, StagedAssets
from infra.bytecode import target_interpreter
from infra.config import Stage
from infra.stacks.api import ApiStack
from infra.stacks.budget import BudgetStack
from infra.stacks.data import DataStack
from infra.stacks.identity import IdentityStack
from infra.stacks.messaging import MessagingStack
from infra.stacks.observability import ObservabilityStack
from infra.stacks.sessions import SessionsStack
from infra.stacks.workers import WorkersStack


def build(app: App, stage: Stage, assets: Assets) -> None:
    """Add the stacks of a stage to the app."""
    prefix = f"recado-{stage.name}"
    data = DataStack(app, f"{prefix}-data", stage=stage)
    messaging = MessagingStack(app, f"{prefix}-messaging", stage=stage, key=data.key)
    identity = IdentityStack(app, f"{prefix}-identity", stage=stage)
    ApiStack(app, f"{prefix}-api", stage=stage, assets=assets, data=data, messaging=messaging, identity=identity)
    WorkersStack(app, f"{prefix}-workers", stage=stage, assets=assets, data=data, messaging=messaging)
    if stage.session_tasks:
        SessionsStack(app, f"{prefix}-sessions", stage=stage, assets=assets, data=data, messaging=messaging)
    if stage.observed:
        ObservabilityStack(app, f"{prefix}-observability", stage=stage, topic=messaging.alarms)
    if stage.monthly_budget is not None:
        BudgetStack(app, f"{prefix}-budget", stage=stage)
    Tags.of(app).add("recado:stage", stage.name)


def main() -> None:
    """Synthesise the stage that the context names, ``dev`` if it names none."""
    declared = json.loads((REPOSITORY / "cdk.json").read_text(encoding="utf-8"))["context"]
    app = App(context=declared, analytics_reporting=False)
    name = app.node.try_get_context("stage") or "dev"
    placeholders = app.node.try_get_context("placeholder_assets")
    assets = PlaceholderAssets(Path(placeholders)) if placeholders else StagedAssets(interpreter=target_interpreter())
    build(app, Stage.from_context(name, app.node.get_context("stages")), assets)
    if app.node.try_get_context("checks"):
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
