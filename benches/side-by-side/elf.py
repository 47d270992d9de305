"""The names of a binary's sections, by which a debug build is told from a stripped one."""

import struct
from pathlib import Path
from typing import List


def sections(path: Path) -> List[str]:
    """Empty for what is no 64-bit little-endian ELF file. Offsets and sizes: elf(5), `Elf64_Ehdr` and `Elf64_Shdr`."""
    with open(path, "rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return []
        (table,) = struct.unpack_from("<Q", header, 40)
        size, count, names_at = struct.unpack_from("<HHH", header, 58)
        file.seek(table)
        entries = file.read(size * count)
        if names_at >= count or size < 64 or len(entries) < size * count:
            return []
        place, length = struct.unpack_from("<QQ", entries, names_at * size + 24)
        file.seek(place)
        names = file.read(length)
    starts = [struct.unpack_from("<I", entries, number * size)[0] for number in range(count)]
    return [names[start:].partition(b"\0")[0].decode("ascii", errors="replace") for start in starts]
