# Compares a row that was laid out anew with the table's, which sources gave. Run by
# script/ruby-layouts --check.
import re
import sys

# What differs for another reason than the way it was made.
KNOWN = {
    # 3.3.3 has no inserting_constant_cache_id, which 3.3.8 has.
    ("3.3.3", "vm_size"): ("Some(9600)", "Some(9592)"),
}


def rows(text):
    """Fields by minor version."""
    found = {}
    for block in text.split("    // ruby ")[1:]:
        version = block.split("\n")[0]
        # Lists may be broken into lines, and not.
        block = re.sub(r",\s*\]", "]", re.sub(r"\s*\n\s*(?=[\"\]])", "", block))
        fields = dict(re.findall(r"^\s*(\w+): (.*),$", block, re.M))
        fields["imemo"] = re.findall(r'"(\w*)"', fields["imemo"])
        found[".".join(version.split(".")[:2])] = version, fields
    return found


minor, table = sys.argv[1:]
version, made = rows(sys.stdin.read())[minor]
with open(table, encoding="utf-8") as file:
    _, own = rows(file.read())[minor]
compared = [field for field in own if field not in ("version", "source", "checked")]
differ = [field for field in compared if own[field] != made.get(field)]
known = [
    field for field in differ if KNOWN.get((version, field)) == (own[field], made.get(field))
]
print(f"{minor}: {len(compared) - len(differ)} of {len(compared)} fields are equal")
for field in differ:
    why = "known" if field in known else "not known"
    print(f"  {field}: {own[field]} from sources, {made.get(field)} laid out anew: {why}")
if len(compared) < 100 or differ != known:
    sys.exit(1)
