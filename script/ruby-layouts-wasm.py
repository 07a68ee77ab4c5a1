# Takes the debug information out of a Ruby for wasm32: writes each section into a
# file of its own, and prints the version. Run by script/ruby-layouts.
import re
import sys

path, folder = sys.argv[1:]
with open(path, "rb") as file:
    module = file.read()


def number(at):
    """An unsigned LEB128, and where it ends."""
    value = shift = 0
    while True:
        byte = module[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


at = 8
while at < len(module):
    kind = module[at]
    length, start = number(at + 1)
    at = start + length
    # A custom section begins with its name.
    if kind == 0:
        length, start = number(start)
        name = module[start : start + length].decode()
        if name.startswith(".debug_"):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(module[start + length : at])

found = re.search(rb"ruby (\d+\.\d+\.\d+)[ a-z]*\d* ?\(", module)
if not found:
    sys.exit(f"{path} does not say which Ruby it is")
print(found[1].decode())
