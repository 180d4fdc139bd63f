"""E-mail as a notification block of Prefect; the server finds it by the entry point ``prefect.collections``."""

from urllib.parse import quote

from prefect.blocks.notifications import AppriseNotificationBlock


class EmailNotification(AppriseNotificationBlock):
    """Send notifications by e-mail, over the SMTP server named in the address.

    The address is one of Apprise: ``mailtos://user:password@smtp.example:587/?from=a@b.example&to=c@d.example``.
    """

    _block_type_name = "Overbank E-mail"
    _block_type_slug = "overbank-email"


def mail_address(server: str, user: str, password: str, sender: str, to: str) -> str:
    """The address of `EmailNotification` from its parts; ``server`` is ``smtp.example:587``, with TLS.

    A server without user is spoken to without TLS and without login, as on loopback.
    """
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    scheme = "mailtos" if user else "mailto"
    return f"{scheme}://{login}{server}/?from={quote(sender)}&to={quote(to)}"
