"""What versions mean, and what is said of those that nobody knows."""

from __future__ import annotations

import pytest

from jupyter_aiqueue.core.versions import TRIED, band


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("3.10.8", "3.10 to 3.11"),
        ("3.11.28", "3.10 to 3.11"),
        ("3.12.0", "3.12 to 3.13"),
        ("3.13.7", "3.12 to 3.13"),
        ("4.0.5", "4.0 to 4.2"),
        ("4.2.9-rc.1", "4.0 to 4.2"),
        ("4.3.5", "4.3 and newer"),
    ],
)
def test_every_version_has_the_band_that_behaves_like_it(version, name):
    found = band(version)
    assert found.name == name
    assert found.supported
    assert found.known
    assert all(sentence.endswith(".") for sentence in found.matters)


def test_only_from_3_12_on_does_a_queue_have_a_delivery_timeout_of_its_own():
    assert not band("3.11.9").queue_timeouts
    assert band("3.12.1").queue_timeouts


def test_bands_that_nobody_tried_say_so_and_tried_ones_do_not():
    for version in TRIED:
        assert not any("has been tried" in sentence for sentence in band(version).matters)
    for version in ("3.13.7", "4.3.5"):
        assert any("No version of this kind has been tried" in s for s in band(version).matters)


def test_a_version_newer_than_all_that_is_known_is_said_to_be_so():
    found = band("5.1.0")
    assert found.supported
    assert not found.known
    assert "newer than all that is known" in found.matters[0]


@pytest.mark.parametrize("version", [None, "", "weird"])
def test_a_broker_that_does_not_tell_its_version_is_not_taken_for_any(version):
    found = band(version)
    assert not found.known
    assert "not known" in found.matters[0]


def test_a_version_that_is_too_old_is_not_supported():
    assert not band("3.9.29").supported
    assert "3.10 or newer" in band("3.9.29").matters[0]
