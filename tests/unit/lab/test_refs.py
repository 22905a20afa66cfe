"""How a learner names an object: one form everywhere, one way to be told what is wrong with it."""

import pytest

from labsupport.errors import UsageError
from labsupport.lab.objects import Objects
from labsupport.lab.refs import as_ref, kind_name, rule_of
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.records import Ref
from labsupport.traffic.weights import RuleName

WEB = Ref("VirtualService", "web")
SHOP = Ref("VirtualService", "web", "shop")


@pytest.mark.parametrize("text", ["vs/web", "VirtualService/web", "virtualservices/web", " vs/web "])
def test_a_kind_may_be_written_as_with_kubectl(text):
    assert as_ref(text) == WEB


def test_a_namespace_is_a_part_of_the_text_or_an_option():
    assert as_ref("vs/web.shop") == as_ref("vs/web", namespace="shop") == as_ref(WEB, namespace="shop") == SHOP
    assert as_ref("vs/a.b", namespace="shop") == Ref("VirtualService", "a.b", "shop")


@pytest.mark.parametrize(
    "given", ["", "web", "vs/", "/web", "vs/web/0", "vs/.shop", "vs/web.", "all/web", None, 3, ["vs/web"]]
)
def test_what_names_no_object_is_refused(given):
    with pytest.raises(UsageError):
        as_ref(given)


def test_what_is_wrong_is_named():
    with pytest.raises(UsageError, match="Did you mean VirtualService"):
        as_ref("VirtualServce/web")
    with pytest.raises(UsageError, match="namespace='cart' says another one"):
        as_ref(SHOP, namespace="cart")
    with pytest.raises(UsageError, match="name of a namespace"):
        as_ref("vs/web", namespace=3)


@pytest.mark.parametrize("word", ["ingress", "ingresses", "Ingress"])
def test_a_kind_of_another_system_is_told_with_what_takes_its_place(word):
    with pytest.raises(UsageError, match=r"no Ingress, which lets requests .* Write a Gateway and a VirtualService\."):
        kind_name(word)


def test_a_bare_name_stands_for_the_kind_that_is_meant():
    assert as_ref("web", default_kind="Deployment") == Ref("Deployment", "web")
    assert rule_of("web") == rule_of("vs/web") == rule_of(WEB) == RuleName(WEB)
    assert rule_of("vs/web.shop[1]") == RuleName(SHOP, 1)
    with pytest.raises(UsageError, match="the weights of a VirtualService"):
        rule_of("dr/web")


def test_the_only_object_that_was_got_is_one_that_is_named():
    (web, api) = parse(read("\n---\n".join(SERVICE % name for name in ("web", "api"))))
    assert as_ref(Objects([web])) == Ref("Service", "web", web.namespace)
    with pytest.raises(UsageError, match="One object is meant, and these are 2: Service/web and Service/api"):
        as_ref(Objects([web, api]))
    with pytest.raises(UsageError, match=r"these are 0\. Name it"):
        as_ref(Objects())


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{port: 80}]}\n"
