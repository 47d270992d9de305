"""What the control plane would cost on AWS, from the calls of a run and list prices. Pure.

Prices are those of us-east-1, on demand, without free tiers: DynamoDB and S3 Standard, Lambda, Step Functions (standard
workflows), as AWS publishes them on the pages of prices of these services.
"""

from dataclasses import dataclass
from typing import Sequence

from engine.record import DELIVER, STATES, Call, Executions, units

WRITE_UNIT = 0.625e-6
READ_UNIT = 0.125e-6
PUT = 5e-6
GET = 0.40e-6
REQUEST = 0.20e-6
TRANSITION = 25e-6

# S3 bills these as it does PUT; what deletes is free, and everything else is billed as GET.
S3_PUTS = frozenset(
    {
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
        "ListObjectVersions",
        "ListObjects",
        "ListObjectsV2",
        "PutObject",
        "UploadPart",
    }
)
S3_FREE = frozenset({"AbortMultipartUpload", "DeleteObject", "DeleteObjects"})

LEFT_OUT = (
    "Left out: Lambda's GB-seconds (the record has no times of invocations, and calls over the loopback would say "
    "nothing of how long one takes on AWS), API Gateway (one request a run), KMS, what is stored, logs, and what "
    "people read. Parameters of the standard tier are free."
)


@dataclass(frozen=True)
class Part:
    """A part of the bill. `count` is for one run; `None` where the record does not have it."""

    name: str
    count: float | None
    price: float

    def per_million(self, orders: int) -> float | None:
        """Dollars for a million orders."""
        return None if self.count is None else self.count * self.price / orders * 1e6


def parts(calls: Sequence[Call]) -> list[Part]:
    """The bill of a run."""
    consumed = units(calls)
    writes, reads = consumed if consumed else (None, None)
    s3 = [call.operation for call in calls if call.is_counted and call.service == "s3"]
    puts = sum(operation in S3_PUTS for operation in s3)
    gets = sum(operation not in S3_PUTS and operation not in S3_FREE for operation in s3)
    looks = sum(call.function == STATES and call.operation == "Invoke" for call in calls)
    deliveries = sum(call.operation == DELIVER for call in calls)
    submissions = sum(call.service == "execute-api" and call.operation == "POST /init" for call in calls)
    return [
        Part("DynamoDB write units", writes, WRITE_UNIT),
        Part("DynamoDB read units", reads, READ_UNIT),
        Part("S3 PUT and LIST", puts, PUT),
        Part("S3 GET and HEAD", gets, GET),
        Part("Lambda requests", deliveries + looks + submissions, REQUEST),
        Part("Step Functions transitions", Executions(calls).transitions, TRANSITION),
    ]


def total_per_million(bill: Sequence[Part], orders: int) -> float:
    """Dollars for a million orders, of what is known."""
    return sum(part.per_million(orders) or 0 for part in bill)
