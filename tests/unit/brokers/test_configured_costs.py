from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.actions import Action
from brokers.configured_costs import configured_costs, read_actions
from brokers.costs import Costs
from brokers.margin import Margin
from brokers.slippage import PerUnit, SquareRoot, Volatility, VolumeShare
from core.config import CostSettings, load_settings
from core.errors import ConfigError
from engine.command import costs_from


def settings_of(tmp_path: Path, **given: object) -> CostSettings:
    keys = {f"broker.costs.{name.replace('__', '.')}": value for name, value in given.items()}
    empty = tmp_path / "empty.toml"
    empty.touch()
    return load_settings(file=empty, cli=keys).broker.costs


def test_nothing_is_charged_by_default(tmp_path: Path) -> None:
    assert configured_costs(CostSettings()) == Costs()
    assert costs_from(load_settings(cli={})) is None


def test_every_number_arrives(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        spread="0.0005",
        slippage="0.001",
        volume_share="0.1",
        latency="2",
        latency_seconds="1.5",
        beyond_bar="true",
        borrow="0.03",
        funding="-0.0001",
        funding_hours="4",
        dividends="reinvest",
        margin__enabled="true",
        margin__short_maintenance="0.4",
    )
    assert configured_costs(settings) == Costs(
        spread=0.0005,
        slippage=0.001,
        volume_share=0.1,
        latency=2,
        latency_seconds=1.5,
        beyond_bar=True,
        borrow=0.03,
        funding=-0.0001,
        funding_hours=4.0,
        dividends="reinvest",
        margin=Margin(short_maintenance=0.4),
    )


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("per_unit", PerUnit(0.5)),
        ("volume_share", VolumeShare(0.5)),
        ("square_root", SquareRoot(0.5, 20)),
        ("volatility", Volatility(0.5, 20)),
    ],
)
def test_each_model_by_its_name(name: str, model: PerUnit, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, slippage="0.5", slippage_model=name, slippage_bars="20")
    assert configured_costs(settings).slippage == model


@pytest.mark.parametrize(
    "wrong", [{"spread": "-1"}, {"volume_share": "2"}, {"margin__maintenance": "0.9"}, {"slipage": "1"}]
)
def test_what_cannot_be_is_refused(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        settings_of(tmp_path, **wrong)


class TestActions:
    def test_a_file_of_splits_and_dividends(self, tmp_path: Path) -> None:
        path = tmp_path / "actions.csv"
        path.write_text("symbol,time,ratio,amount\nAAPL,2020-08-31,4,\nAAPL,2020-11-06,,0.205\n")
        assert read_actions(path) == {
            "AAPL": [
                Action(datetime(2020, 8, 31, tzinfo=UTC), ratio=4.0),
                Action(datetime(2020, 11, 6, tzinfo=UTC), amount=0.205),
            ]
        }
        costs = configured_costs(settings_of(tmp_path, actions=str(path)))
        assert len(costs.actions_for("AAPL")) == 2

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("when,what\n", "has the columns what, when"),
            ("", "has the columns none"),
            ("symbol,time,ratio\nA,soon,2\n", "line 2"),
            ("symbol,time,ratio\nA,2020-01-01,two\n", "line 2"),
            ("symbol,time,ratio\nA,2020-01-01,-2\n", "ratio -2"),
        ],
    )
    def test_a_file_that_cannot_be_read(self, text: str, said: str, tmp_path: Path) -> None:
        path = tmp_path / "actions.csv"
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            read_actions(path)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot read"):
            read_actions(tmp_path / "none.csv")
