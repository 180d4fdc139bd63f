"""Certificates that are not trusted, in words: behind many companies' proxies every server shows one of the proxy's."""

import os
import ssl

VARIABLE = "SSL_CERT_FILE"
"""The variable that is named to people; one that is set serves all libraries (`pipeline_lib`)."""
_WORDS = ("certificate problem", "certificate verify failed", "local issuer certificate", "CA certificate bundle")


def untrusted(error: BaseException, server: str) -> str | None:
    """What to say where an error, or one that caused it, is about a certificate; None where it is not.

    Args:
        error: of requests, aiohttp or GDAL.
        server: that was asked.

    Returns:
        The end of a sentence, to follow a colon.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError) or any(word in str(seen) for word in _WORDS):
            return f"the certificate that {server} shows is not trusted. {advice()}"
        seen = seen.__cause__ or seen.__context__
    return None


def advice() -> str:
    """What to do about a certificate that is not trusted."""
    named = os.environ.get(VARIABLE)
    if named and not os.path.isfile(named):  # noqa: PTH113 - a name from outside may be no path at all
        return f"{VARIABLE} names {named}, which is no file"
    if named:
        return f"{VARIABLE} names {named}: add the certificate of your proxy to it"
    system = ssl.get_default_verify_paths().openssl_cafile
    known = f" (this system keeps its own in {system})" if os.path.isfile(system) else ""  # noqa: PTH113
    return (
        f"Behind a proxy with a certificate of its own, name the file of trusted certificates in {VARIABLE}{known}; it "
        "serves search, signing and pixels alike"
    )
