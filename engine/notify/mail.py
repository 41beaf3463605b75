"""Mails over SMTP: one letter, one connection, one total time. HTML and plain text say the same.

The Message-ID is the notice's own, so that a letter that went out twice (a worker died between the server's
answer and our note of it) is recognised as one. A letter never carries a document.
A refusal of the address is told apart from a refusal of the letter and from a server that lets nobody in.
Source: RFC 5321 (4.2 replies, 4.5.4 retries), RFC 5322 (3.6.4 identification), RFC 3834 (automatic mail),
RFC 2369 (List-Unsubscribe).
"""

import asyncio
import re
import ssl
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from uuid import UUID

import aiosmtplib

from config.clock import Clock
from config.settings_notices import MailSettings, MailTls, NoticeSettings
from engine.notify.carrier import CarrierAway, Deferred, Undeliverable
from engine.notify.letterhead import PLAIN, Letterhead
from engine.notify.notice import Notice, NoticeKind
from engine.notify.texts import language_of, one_line, write_letter
from normalizer.ids import Kind, print_id

_BUSY = 421  # "closing transmission channel": the server is going away, whatever it was asked
_PERMANENT = 500
# Where the library breaks a name over lines it forgets the quotes around these, and a part of the name becomes an
# address (Python 3.11, github.com/python/cpython/issues/121284).
_SPECIAL = re.compile(r'[()<>@,;:\\"\[\]]')
_LONGEST_NAME = 120


class MailCarrier:
    def __init__(self, mail: MailSettings, notices: NoticeSettings, clock: Clock) -> None:
        self._mail, self._notices, self._clock = mail, notices, clock
        self._from = Address(mail.from_name, addr_spec=mail.from_address)

    async def carry(self, notice_id: UUID, notice: Notice, letterhead: Letterhead = PLAIN) -> str:
        """The Message-ID."""
        if not self._mail.host:
            raise Undeliverable("no mail server is set")
        message = self._compose(notice_id, notice, letterhead)
        try:
            async with asyncio.timeout(self._mail.timeout_s):
                await self._send(self._mail.host, message)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError) as error:
            raise CarrierAway("the mail server did not answer in time") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused_address([one.code for one in error.recipients]) from error
        except (
            aiosmtplib.SMTPAuthenticationError,
            aiosmtplib.SMTPSenderRefused,
            aiosmtplib.SMTPHeloError,
        ) as error:
            # Whoever we write to, these stay the same until an operator does something.
            raise CarrierAway(f"the mail server does not let us in ({error.code})") from error
        except aiosmtplib.SMTPNotSupported as error:
            raise _not_supported(notice) from error
        except aiosmtplib.SMTPDataError as error:
            if error.code >= _PERMANENT:
                raise Undeliverable(f"the mail server refused the letter ({error.code})") from error
            raise Deferred(f"the mail server put the letter off ({error.code})") from error
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise CarrierAway(f"the mail server is not reached ({type(error).__name__})") from error
        return str(message["Message-ID"])

    async def aclose(self) -> None:
        """Nothing is kept open."""

    async def _send(self, host: str, message: EmailMessage) -> None:
        mail = self._mail
        client = aiosmtplib.SMTP(
            hostname=host,
            port=mail.port,
            use_tls=mail.tls is MailTls.TLS,
            start_tls=mail.tls is MailTls.STARTTLS,  # False: not even when it is offered
            username=mail.username or None,
            password=mail.password.reveal() if mail.password else None,
            timeout=mail.timeout_s,
        )
        try:
            await client.connect()
            await client.send_message(message)
        finally:
            client.close()  # not QUIT: the server has answered, and its goodbye may take its time

    def _compose(self, notice_id: UUID, notice: Notice, letterhead: Letterhead) -> EmailMessage:
        abuse = self._notices.report_abuse_address
        printed = print_id(Kind.NOTICE, notice_id)
        logo = f"logo.{printed}@{self._from.domain}" if letterhead.logo else ""
        letter = write_letter(
            notice, product=self._mail.from_name, abuse=abuse, letterhead=letterhead, logo=logo
        )
        message = EmailMessage(policy=WIRE)
        try:
            message["To"] = Address(_shown(notice.name), addr_spec=_wire_address(notice.address))
        except (ValueError, IndexError, MessageError) as error:
            raise Undeliverable("the address is no e-mail address", bounced=True) from error
        message["From"] = self._sender(notice)
        reply_to = _reply_to(notice, letterhead)
        if reply_to is not None:
            message["Reply-To"] = reply_to
        message["Subject"] = _undecoded(letter.subject)
        message["Date"] = format_datetime(_second(self._clock.now()))
        message["Message-ID"] = f"<{printed}@{self._from.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        if abuse:
            message["X-Report-Abuse-To"] = abuse
            if notice.kind is not NoticeKind.CODE:
                message["List-Unsubscribe"] = f"<mailto:{abuse}?subject=unsubscribe%20{printed}>"
        message.set_content(letter.plain, cte="quoted-printable")
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        if logo:
            _, page = message.iter_parts()
            page.add_related(
                letterhead.logo, "image", "png", cid=f"<{logo}>", disposition="inline", filename="logo.png"
            )
        message["Content-Language"] = language_of(notice)  # last: set_content takes such headers away
        return message

    def _sender(self, notice: Notice) -> Address:
        """Our address, which is what SPF and DKIM vouch for, under the name of who asks."""
        who = one_line(notice.values.get("sender_name", "") or notice.values.get("organisation", ""))
        product = one_line(self._mail.from_name)
        shown = f"{who} via {product}" if who and who != product else product
        # An address in the name would be shown as the sender by some programs.
        return Address(_shown(shown.replace("@", " at ")), addr_spec=self._mail.from_address)


def _reply_to(notice: Notice, letterhead: Letterhead) -> Address | None:
    """Where the tenant wants answers, else who asks."""
    address, name = notice.values.get("sender_email", ""), "sender_name"
    if letterhead.reply_to:
        address, name = letterhead.reply_to, "organisation"
    if not address or notice.kind is NoticeKind.CODE:
        return None
    try:
        return Address(_shown(notice.values.get(name, "")), addr_spec=_wire_address(address))
    except (ValueError, IndexError, MessageError):
        return None  # a sender without a mailbox: the letter goes out all the same


def _shown(name: str) -> str:
    """As it stands before an address: letters that mean something there are left out."""
    return one_line(_SPECIAL.sub(" ", _undecoded(name))).lstrip(". ")[:_LONGEST_NAME]


def _undecoded(value: str) -> str:
    """One line, and no encoded word: the library would decode it, line breaks and whole headers in it included
    (Python 3.11; RFC 2047 section 2).
    """
    return one_line(value).replace("=?", "= ?")


def _wire_address(address: str) -> str:
    """With the domain as it is on the wire (IDNA); raises ValueError for what cannot be an address."""
    local, at, domain = address.strip().rpartition("@")
    if not at or not local or not domain or _undecoded(address) != address.strip():
        raise ValueError("no address")
    return f"{local}@{domain.encode('idna').decode('ascii')}"


def _refused_address(codes: list[int]) -> Exception:
    if _BUSY in codes:
        return CarrierAway("the mail server is closing (421)")
    if all(code >= _PERMANENT for code in codes):
        return Undeliverable(f"the address was refused ({codes[0]})", bounced=True)
    return Deferred(f"the address was put off ({codes[0]})")


def _not_supported(notice: Notice) -> Exception:
    if not notice.address.isascii():
        return Undeliverable("the mail server takes no address in this script", bounced=True)
    return CarrierAway("the mail server does not offer what [mail] tls or username asks for")


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
