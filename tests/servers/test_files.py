"""The pages of an application: what is in the list is given, and nothing else can be asked for."""

import os

import pytest
from starlette.testclient import TestClient

from hubbub import App, UsageError

OTHERS = ("app.py", "chat.db", "hubbub.toml", ".env", ".git/page.html", "node_modules/a/index.js")


@pytest.fixture
def folder(tmp_path):
    pages = tmp_path / "pages"
    for name in ("index.html", "chat.js", "help/index.html", *OTHERS):
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_text(f"this is {name}")
    (tmp_path / "secret.txt").write_text("outside")
    (pages / "link.txt").symlink_to(tmp_path / "secret.txt")
    (pages / "loop").symlink_to(pages, target_is_directory=True)
    return pages


@pytest.fixture
def client(folder):
    with TestClient(App(pages=folder)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html", "index.html", "text/html; charset=utf-8"),
        ("/chat.js", "chat.js", "text/javascript; charset=utf-8"),
        ("/help/", "help/index.html", "text/html; charset=utf-8"),
    ],
)
def test_a_page_is_given_and_says_what_it_is(client, path, name, kind):
    page = client.get(path)
    assert (page.status_code, page.text) == (200, f"this is {name}")
    assert page.headers["content-type"] == kind
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_page_may_run_no_script_that_stands_in_it(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(("policy", "sent"), [("script-src 'self' https://cdn.example", True), ("", False)])
def test_an_application_may_have_a_policy_of_its_own_or_none(folder, policy, sent):
    with TestClient(App(pages=folder, policy=policy)) as client:
        assert client.get("/").headers.get("content-security-policy") == (policy if sent else None)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_page_is_not_there(client, name):
    assert client.get(f"/{name}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/link.txt", "/loop/index.html", "/../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd"]
)
def test_nothing_leads_out_of_the_folder(client, path):
    assert client.get(path).status_code == 404


def test_a_browser_that_has_it_is_told_so_until_it_changes(client, folder):
    tag = client.get("/").headers["etag"]
    again = client.get("/", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    (folder / "index.html").write_text("new")
    os.utime(folder / "index.html", ns=(1, 1))  # whatever the clock of this file system can tell apart
    assert client.get("/", headers={"if-none-match": tag}).text == "new"


def test_pages_go_before_the_clients_that_are_served_with_hubbub(folder):
    (folder / "socket.io").mkdir()
    (folder / "socket.io" / "socket.io.js").write_text("mine")
    with TestClient(App(pages=folder)) as client:
        assert client.get("/socket.io/socket.io.js").text == "mine"


def test_a_folder_that_is_not_there_is_the_developers_mistake(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        App(pages=tmp_path / "nowhere")
