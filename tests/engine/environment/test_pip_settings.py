"""Whoever told pip where packages come from has told uv."""

from __future__ import annotations

import os

import pytest

from imagerydl.environment.pip_settings import uv_environment


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "pip.conf"
    path.write_text(
        "[global]\nindex-url = company\nfind_links = a\n    b\n[install]\nextra-index-url = one two\n",
        encoding="utf-8",
    )
    return {"PIP_CONFIG_FILE": str(path)}


def test_pip_s_configuration_file_counts(configuration):
    environment = uv_environment(configuration)
    assert environment["UV_DEFAULT_INDEX"] == "company"
    assert environment["UV_FIND_LINKS"] == "a,b"
    assert environment["UV_INDEX"] == "one two"
    assert environment["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_pip_s_variables_come_before_its_file(configuration):
    assert uv_environment({**configuration, "PIP_INDEX_URL": "mine"})["UV_DEFAULT_INDEX"] == "mine"


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_what_is_said_to_uv_itself_comes_first(configuration, variable):
    environment = uv_environment({**configuration, variable: "uv's own"})
    assert environment[variable] == "uv's own"
    assert "company" not in environment.values()


def test_a_certificate_and_a_proxy_carry_over():
    environment = uv_environment({"PIP_CONFIG_FILE": os.devnull, "PIP_CERT": "ca.pem", "PIP_PROXY": "p:1"})
    assert (environment["SSL_CERT_FILE"], environment["HTTPS_PROXY"]) == ("ca.pem", "p:1")


def test_pip_can_be_told_to_read_no_file(configuration):
    assert uv_environment({"PIP_CONFIG_FILE": os.devnull}) == {"PIP_CONFIG_FILE": os.devnull}


def test_a_file_that_is_no_configuration_is_passed_over(tmp_path):
    broken = tmp_path / "pip.conf"
    broken.write_bytes(b"\xff\xfe not a configuration")
    assert "UV_DEFAULT_INDEX" not in uv_environment({"PIP_CONFIG_FILE": str(broken), "UV_INDEX_URL": "x"})
