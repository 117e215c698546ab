"""What a stage may cost: somebody hears before it is spent, and nothing is stopped."""

import pytest

from infra.config import Stage, StageSettingError
from tests.infra.template import Templates


def _notifications(templates: Templates) -> dict[str, tuple[str, float, str]]:
    (budget,) = templates.properties("AWS::Budgets::Budget")
    return {
        told["Notification"]["NotificationType"]: (
            told["Notification"]["ComparisonOperator"],
            told["Notification"]["Threshold"],
            told["Notification"]["ThresholdType"],
        )
        for told in budget["NotificationsWithSubscribers"]
    }


def test_it_tells_at_four_fifths_spent_and_when_more_than_all_is_foreseen(crowded: Templates) -> None:
    """Shares of the budget, so that raising it moves them too."""
    assert _notifications(crowded) == {
        "ACTUAL": ("GREATER_THAN", 80, "PERCENTAGE"),
        "FORECASTED": ("GREATER_THAN", 100, "PERCENTAGE"),
    }


def test_it_counts_costs_of_a_month_and_of_this_stage_only(crowded: Templates) -> None:
    """Another stage in the same account, and whatever else is there, has other tags."""
    (budget,) = crowded.properties("AWS::Budgets::Budget")
    assert (budget["Budget"]["BudgetType"], budget["Budget"]["TimeUnit"]) == ("COST", "MONTHLY")
    assert budget["Budget"]["BudgetName"] == "recado-crowded"
    assert list(budget["Budget"]["CostFilters"].values()) == [["user:recado:stage$crowded"]]


def test_it_only_tells(crowded: Templates) -> None:
    """The stack holds the budget and no action: nobody's messages stop because of a bill."""
    resources = crowded.stacks["recado-crowded-budget"]["Resources"]
    assert [resource["Type"] for resource in resources.values()] == ["AWS::Budgets::Budget"]


def test_a_stage_without_a_budget_has_no_stack_for_it(prod: Templates, local: Templates) -> None:
    """An empty stack could not be deployed."""
    assert not [stack for stages in (prod, local) for stack in stages.stacks if stack.endswith("-budget")]


def test_a_budget_that_nobody_would_hear_of_is_refused() -> None:
    """AWS would take it without a subscriber."""
    with pytest.raises(StageSettingError, match="alarm_email"):
        Stage(name="dev", shared_shards=1, monthly_budget=100)
