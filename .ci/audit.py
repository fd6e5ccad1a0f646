"""Ask the advisory service about every package of requirements.lock. Exit status 1: a known vulnerability.

A service that cannot be reached, or does not know the packages, is said in a line and is no failure.
"""

import json
import subprocess
import sys
from typing import Any

COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"),
    *("--disable-pip", "--require-hashes", "--requirement", "requirements.lock"),
)


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"audit: the advisory service could not be asked, nothing was checked ({reason})")
        return 0
    checked = [package for package in packages if "skip_reason" not in package]
    print(f"audit: {len(checked)} of {len(packages)} packages were checked against known vulnerabilities")
    found = [(package, report) for package in checked for report in package["vulns"]]
    for package, report in found:
        fixed = ", ".join(report["fix_versions"]) or "no version yet"
        print(f"  {package['name']} {package['version']}: {report['id']}, fixed in {fixed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
