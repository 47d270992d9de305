"""A provider for Terraform that has the AWS provider's schema and does nothing.

Terraform itself knows best whether a module is right: names and types of arguments, required ones, references, functions.
All that it asks the provider for this is its schema. This module answers that one question over gRPC, with what
`provider_schema.py` read, so that `terraform validate` and `terraform test` with mocked providers work without an account
and without a registry. Terraform finds it by `TF_REATTACH_PROVIDERS`, which is made for providers that run already.

The protocol is Terraform's plugin protocol 5 (docs/plugin-protocol/tfplugin5.proto in Terraform's sources). Its few
messages are written here by hand, field by field, so that no generated code is needed. What would plan, read or apply
anything is not there: Terraform gets "unimplemented".
"""

import json
import os
from concurrent import futures
from typing import Dict, Iterable

import grpc

from provider_schema import Attribute, Block, Nested, Type

# Both names under which a module may mean the provider: Terraform's registry and OpenTofu's.
ADDRESSES = ("registry.terraform.io/hashicorp/aws", "registry.opentofu.org/hashicorp/aws")
# NestedBlock.NestingMode
NESTING = {"struct": 1, "list": 2, "set": 3, "map": 4}


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes) -> bytes:
    """A field of a message: bytes, a text or another message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""


def type_json(kind: Type) -> bytes:
    return json.dumps(kind).encode()


def attribute(name: str, it: Attribute) -> bytes:
    return (
        field(1, name.encode())
        + field(2, type_json(it.type))
        + number_field(4, it.required)
        + number_field(5, it.optional)
        + number_field(6, it.computed)
    )


def nested(name: str, it: Nested) -> bytes:
    # A block that stands by itself is there or not; it has no numbers.
    limits = b"" if it.nesting in ("struct", "map") else number_field(4, it.least) + number_field(5, it.most)
    return field(1, name.encode()) + field(2, block(it.block)) + number_field(3, NESTING[it.nesting]) + limits


def block(it: Block) -> bytes:
    attributes = (field(2, attribute(name, found)) for name, found in sorted(it.attributes.items()))
    blocks = (field(3, nested(name, found)) for name, found in sorted(it.blocks.items()))
    return b"".join(attributes) + b"".join(blocks)


def schema(it: Block) -> bytes:
    return field(2, block(it))


def by_name(number: int, blocks: Dict[str, Block]) -> Iterable[bytes]:
    """A map of names to schemas: an entry is a message of its own."""
    return (field(number, field(1, name.encode()) + field(2, schema(it))) for name, it in sorted(blocks.items()))


def answer(provider: Block, resources: Dict[str, Block], data_sources: Dict[str, Block]) -> bytes:
    """GetProviderSchema.Response."""
    return field(1, schema(provider)) + b"".join(by_name(2, resources)) + b"".join(by_name(3, data_sources))


class Handler(grpc.GenericRpcHandler):
    """Answers with bytes that are ready; requests are not looked into."""

    def __init__(self, schemas: bytes) -> None:
        unary = grpc.unary_unary_rpc_method_handler
        service = "/tfplugin5.Provider/"
        self.methods = {
            service + "GetSchema": unary(lambda request, context: schemas),
            # The configuration is the first field of the question and of the answer.
            service + "PrepareProviderConfig": unary(lambda request, context: request),
            # No diagnostics. What a value may be beyond its type only the provider's code knows.
            service + "ValidateResourceTypeConfig": unary(lambda request, context: b""),
            service + "ValidateDataSourceConfig": unary(lambda request, context: b""),
        }

    def service(self, handler_call_details):  # type: ignore[no-untyped-def]
        return self.methods.get(handler_call_details.method)


class StandIn:
    """The provider while it is up: `with StandIn(…, folder) as environment: …`."""

    def __init__(self, schemas: bytes, folder: str) -> None:
        self.socket = os.path.join(folder, "provider.sock")
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), handlers=[Handler(schemas)])
        if not self.server.add_insecure_port("unix:" + self.socket):
            raise OSError(f"failed to listen on {self.socket}")

    def __enter__(self) -> Dict[str, str]:
        """What Terraform needs in its environment to find the provider."""
        self.server.start()
        reattach = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            # Terraform signals nobody with `Test`.
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "unix", "String": self.socket},
        }
        return {"TF_REATTACH_PROVIDERS": json.dumps({address: reattach for address in ADDRESSES})}

    def __exit__(self, *_: object) -> None:
        self.server.stop(None).wait()
