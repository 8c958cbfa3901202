"""Settings come from ASSAY_* variables alone, and a misspelt one is an error."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.settings import Settings


def test_defaults_need_no_environment() -> None:
    settings = Settings.from_env({"PATH": "/bin", "HOME": "/root"})
    assert settings.home.name == "assay"
    assert settings.url == f"sqlite:///{settings.home}/assay.db"
    settings.check_exposure()


def test_every_field_is_read() -> None:
    environ = {
        "ASSAY_HOME": "~/here",
        "ASSAY_PORT": "9",
        "ASSAY_PUBLIC_VERIFY": "no",
        "ASSAY_SECONDS": "2.5",
        "ASSAY_POLICY": "/p.yaml",
        "ASSAY_DATABASE_URL": "postgresql://x/y",
    }
    settings = Settings.from_env(environ)
    assert settings.home == Path("~/here").expanduser()
    assert (settings.port, settings.public_verify, settings.seconds) == (9, False, 2.5)
    assert settings.policy == Path("/p.yaml")
    assert settings.url == "postgresql://x/y"


def test_unknown_variables_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        ConfigurationError, match=r"ASSAY_UPLOAD_MAX_BYTE .*did you mean ASSAY_UPLOAD_MAX_BYTES"
    ):
        Settings.from_env({"ASSAY_UPLOAD_MAX_BYTE": "1"})


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"ASSAY_PORT": "-1", "ASSAY_XYZZY": "", "ASSAY_PUBLIC_VERIFY": "perhaps"})
    for name in ("ASSAY_PORT", "ASSAY_XYZZY", "ASSAY_PUBLIC_VERIFY"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSAY_AUTH", "maybe"),
        ("ASSAY_SECONDS", "nan"),
        ("ASSAY_SECONDS", "-1"),
        ("ASSAY_HOME", ""),
        ("ASSAY_MAX_ATTEMPTS", "0"),
        ("ASSAY_HEARTBEAT_SECONDS", "20"),
        ("ASSAY_PORT", "٣"),
    ],
)
def test_unusable_values(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_env({name: value})


def test_an_open_service_without_keys_is_refused() -> None:
    settings = Settings(home=Path("/x"), host="0.0.0.0")
    with pytest.raises(ConfigurationError, match="ASSAY_AUTH=keys"):
        settings.check_exposure()
    replace(settings, auth="keys").check_exposure()
    replace(settings, host="localhost").check_exposure()
    replace(settings, host="::1").check_exposure()


def test_the_operators_guide_names_every_setting() -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/operators.md").read_text()
    missing = [field.name for field in fields(Settings) if f"ASSAY_{field.name.upper()}`" not in guide]
    assert missing == []
