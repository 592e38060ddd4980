"""The demo's folder: what a demo wrote is removed, what it did not write never."""

import pytest

from dataflows.demo.folder import MARKER, DemoFolder, DemoFolderRefused


def filled(folder):
    with folder.claimed():
        folder.landing.mkdir()
        (folder.landing / "a.csv").write_text("a")
        folder.truth.write_text("{}")
        (folder.root / f".{folder.published.name}.17-1.tmp").write_text("half a copy")


def test_what_an_earlier_demo_wrote_is_removed(tmp_path):
    folder = DemoFolder(tmp_path / "new" / "demo")
    filled(folder)
    with folder.claimed():
        assert [path.name for path in folder.root.iterdir()] == [MARKER]


def test_two_demos_do_not_share_a_folder(tmp_path):
    folder = DemoFolder(tmp_path)
    with folder.claimed():
        folder.truth.write_text("{}")
        with pytest.raises(DemoFolderRefused, match="another demo is running"), DemoFolder(tmp_path).claimed():
            pass
        assert folder.truth.exists()


@pytest.mark.parametrize("marked", [False, True])
def test_nothing_is_removed_beside_what_no_demo_wrote(tmp_path, marked):
    folder = DemoFolder(tmp_path)
    if marked:
        filled(folder)
    (tmp_path / "thesis.txt").write_text("three years of work")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DemoFolderRefused), folder.claimed():
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("three years of work")
    folder = DemoFolder(tmp_path / "demo")
    with folder.claimed():
        folder.state.symlink_to(elsewhere)
    with pytest.raises(DemoFolderRefused, match="is a link"), folder.claimed():
        pass
    assert (elsewhere / "thesis.txt").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(DemoFolderRefused, match="not a folder"), DemoFolder(tmp_path / "demo").claimed():
        pass
