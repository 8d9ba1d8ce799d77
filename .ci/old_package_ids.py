"""Gives packages in `cargo metadata` the ids that they had before Rust 1.77: `name version (source)`."""

import json
import sys

metadata = json.load(sys.stdin)
old = {}
for package in metadata["packages"]:
    source = package["source"] or package["id"].partition("#")[0]
    old[package["id"]] = f"{package['name']} {package['version']} ({source})"


def renamed(value):
    if isinstance(value, str):
        return old.get(value, value)
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if isinstance(value, dict):
        return {key: renamed(item) for key, item in value.items()}
    return value


json.dump(renamed(metadata), sys.stdout)
