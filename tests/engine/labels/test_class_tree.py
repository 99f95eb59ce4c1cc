"""Class schemas with groups: read from whatever holds classes, written as JSON."""

import json
import zipfile

import pytest

from imagerydl.errors import EngineError, ParameterError
from imagerydl.labels.class_tree import ClassNode, ClassTree, read_class_tree, tree_of, write_class_tree
from imagerydl.labels.classes import ClassEntry, schema_from_items

LAND = ClassTree(
    "Land",
    (
        ClassNode("Water", 11, (70, 107, 159)),
        ClassNode(
            "Developed", 20, (200, 0, 0), (ClassNode("Low", 21, (220, 160, 160)), ClassNode("High", 22))
        ),
        ClassNode("Green", None, None, (ClassNode("Forest", 41, (0, 90, 30)),)),
    ),
)


def test_what_is_written_is_read_again(tmp_path):
    """W12: a schema is made, saved and chosen again, with its groups."""
    write_class_tree(LAND, str(tmp_path / "Länder.json"))
    assert read_class_tree(str(tmp_path / "Länder.json")) == LAND


def test_the_classes_of_a_flat_schema_are_written_as_in_a_model_definition(tmp_path):
    """So whatever reads definitions reads schemas."""
    flat = tree_of([ClassEntry(1, "Roof", (1, 2, 3)), ClassEntry(2, "Tree")], "Town")
    write_class_tree(flat, str(tmp_path / "town.json"))
    items = json.loads((tmp_path / "town.json").read_text())["Classes"]
    assert list(schema_from_items(items)) == [ClassEntry(1, "Roof", (1, 2, 3)), ClassEntry(2, "Tree")]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "x", "classes": [{"name": "Roof", "value": 1, "color": [1, 2, 3]}]}',
        '\ufeff{"S": {"C": [{"ClassName": "Roof", "ClassValue": "1", "RED": 1, "GREEN": 2, "BLUE": 3},]}}',
        '[{"class_name": "Roof", "code": 1.0, "rgb": "#010203"}]',
        '{"categories": [{"label": "Roof", "id": 1, "colour": {"red": 1, "green": 2, "blue": 3}}]}',
        "1, Roof, #010203",
    ],
)
def test_other_programs_spellings_are_understood(tmp_path, text):
    (tmp_path / "schema.ecs").write_text(text, encoding="utf-8")
    assert read_class_tree(str(tmp_path / "schema.ecs")).entries == (ClassEntry(1, "Roof", (1, 2, 3)),)


def test_classes_inside_of_classes_whatever_their_list_is_called(tmp_path):
    content = {
        "name": "NLCD",
        "classes": [
            {"name": "Developed", "value": 20, "subclasses": [{"name": "Low", "value": 21}]},
            {"name": "Planted", "members": [{"name": "Crops", "value": 82}]},
        ],
    }
    tree = ClassTree.from_json(content)
    assert [(node.name, node.value, depth) for node, depth in tree.walk()] == [
        ("Developed", 20, 0), ("Low", 21, 1), ("Planted", None, 0), ("Crops", 82, 1),
    ]  # fmt: skip
    assert tree.name == "NLCD"


def test_models_packages_and_chip_folders_give_their_classes(tmp_path):
    """A folder name that stands for a class gives way to the class's true name."""
    definition = {
        "Framework": "text", "ModelFile": "text",
        "Classes": [{"Value": 3, "Name": "Big_Tree", "OriginalName": "Big Tree", "Color": [-1, -1, -1]}],
    }  # fmt: skip
    chips = tmp_path / "chips"
    chips.mkdir()
    (chips / "esri_model_definition.emd").write_text(json.dumps(definition))
    with zipfile.ZipFile(tmp_path / "model.dlpk", "w") as package:
        package.write(chips / "esri_model_definition.emd", "model.emd")
    expected = (ClassEntry(3, "Big Tree"),)
    for path in (chips, chips / "esri_model_definition.emd", tmp_path / "model.dlpk"):
        assert read_class_tree(str(path)).entries == expected


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{}", "holds no classes"),
        (
            '{"Classes": [{"Value": 1, "Name": "a"}, {"Value": 1, "Name": "b"}]}',
            "value 1 occurs more than once",
        ),
        ('{"Classes": [{"Value": 70000, "Name": "a"}]}', "70000"),
        ('{"Classes": [\n{"Value" 1}]}', "line 2"),
        ("one, two\n", "Line 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, named):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(EngineError, match=named):
        read_class_tree(str(tmp_path / "bad.json"))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ParameterError, match="does not exist"):
        read_class_tree(str(tmp_path / "none.json"))
    with pytest.raises(ParameterError, match="esri_model_definition"):
        read_class_tree(str(tmp_path))


def test_a_name_used_twice_gets_its_value_added():
    tree = ClassTree.from_json([{"Name": "Tree", "Value": 1}, {"Name": "Tree", "Value": 2}])
    assert [entry.name for entry in tree.entries] == ["Tree", "Tree (2)"]


def test_classes_are_added_changed_and_removed_where_they_are():
    assert LAND.free_value() == 42
    grown = LAND.added(ClassEntry(23, "Roads"), parent=20)
    assert [node.name for node in grown.nodes[1].children] == ["Low", "High", "Roads"]
    changed = grown.changed(20, ClassEntry(30, "Built", (9, 9, 9)))
    assert (changed.nodes[1].name, changed.nodes[1].value) == ("Built", 30)
    assert len(changed.nodes[1].children) == 3
    removed = changed.removed(30)
    assert [node.name for node in removed.nodes] == ["Water", "Low", "High", "Roads", "Green"]
    with pytest.raises(ParameterError, match="value 11 occurs more than once"):
        LAND.changed(20, ClassEntry(11, "Built"))
    with pytest.raises(ParameterError, match="no class 99"):
        LAND.removed(99)


def test_every_class_gets_a_colour_and_keeps_its_own():
    colored = LAND.colored()
    assert all(entry.color for entry in colored.entries)
    assert colored.entry(11).color == (70, 107, 159)
