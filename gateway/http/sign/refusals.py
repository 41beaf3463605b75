"""What a browser is refused at the door of the signing pages, before anything of the ceremony is asked."""

from normalizer.errors import CallerError


class CsrfRefused(CallerError):
    """The request was not sent by a page of this session."""

    code = "csrf_refused"
    remedy = "Load the page again and repeat what you did."

    def __init__(self) -> None:
        super().__init__("The request does not come from a page of this session.")
