"""Made-up people of Finland: names, addresses, telephone numbers and e-mail addresses that nobody has."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from faker import Faker

from gateway.demo.draw import Draw

NAMES_DRAWN = 2_000
STREETS_DRAWN = 2_000
EMAIL_DOMAINS = ("example.com", "example.org", "example.net")  # reserved by RFC 2606
DIALLING_CODES = ("+35840", "+35850")

POSTAL_TOWNS = (
    ("00100", "Helsinki"),
    ("00180", "Helsinki"),
    ("00250", "Helsinki"),
    ("00500", "Helsinki"),
    ("00530", "Helsinki"),
    ("00700", "Helsinki"),
    ("00940", "Helsinki"),
    ("01300", "Vantaa"),
    ("01600", "Vantaa"),
    ("02100", "Espoo"),
    ("02230", "Espoo"),
    ("02600", "Espoo"),
    ("02700", "Kauniainen"),
    ("03100", "Nummela"),
    ("04200", "Kerava"),
    ("04400", "Järvenpää"),
    ("05800", "Hyvinkää"),
    ("06100", "Porvoo"),
    ("08100", "Lohja"),
    ("10900", "Hanko"),
    ("11100", "Riihimäki"),
    ("13100", "Hämeenlinna"),
    ("15110", "Lahti"),
    ("15140", "Lahti"),
    ("18100", "Heinola"),
    ("20100", "Turku"),
    ("20500", "Turku"),
    ("20810", "Turku"),
    ("21100", "Naantali"),
    ("21200", "Raisio"),
    ("24100", "Salo"),
    ("26100", "Rauma"),
    ("28100", "Pori"),
    ("30100", "Forssa"),
    ("33100", "Tampere"),
    ("33500", "Tampere"),
    ("33720", "Tampere"),
    ("37100", "Nokia"),
    ("40100", "Jyväskylä"),
    ("40520", "Jyväskylä"),
    ("44100", "Äänekoski"),
    ("45100", "Kouvola"),
    ("48100", "Kotka"),
    ("50100", "Mikkeli"),
    ("53100", "Lappeenranta"),
    ("55100", "Imatra"),
    ("57100", "Savonlinna"),
    ("60100", "Seinäjoki"),
    ("65100", "Vaasa"),
    ("67100", "Kokkola"),
    ("68600", "Pietarsaari"),
    ("70100", "Kuopio"),
    ("74100", "Iisalmi"),
    ("80100", "Joensuu"),
    ("87100", "Kajaani"),
    ("90100", "Oulu"),
    ("90570", "Oulu"),
    ("92100", "Raahe"),
    ("94100", "Kemi"),
    ("95400", "Tornio"),
    ("96100", "Rovaniemi"),
    ("99800", "Ivalo"),
)


class Person(NamedTuple):
    """The personal columns of a customer."""

    first_name: str
    surname: str
    street_address: str
    postal_code: str
    postal_town: str
    country_code: str
    phone: str
    email: str

    @property
    def name(self) -> str:
        """First name and surname."""
        return f"{self.first_name} {self.surname}"


class People:
    """Draws people; Faker is asked once for the pools, not for each of them."""

    def __init__(self, draw: Draw, seed: int) -> None:
        faker = Faker("fi_FI")
        faker.seed_instance(seed)
        self._draw = draw
        # Drawn with repetition: common names stay common.
        self._first_names = [faker.first_name() for _ in range(NAMES_DRAWN)]
        self._surnames = [faker.last_name() for _ in range(NAMES_DRAWN)]
        self._streets = [faker.street_name() for _ in range(STREETS_DRAWN)]
        names = {*self._first_names, *self._surnames}
        self._mailbox = {name: _ascii(name) for name in names}

    def person(self, number: int) -> Person:
        """A person whose e-mail address no other number has."""
        draw = self._draw
        first_name, surname = draw.pick(self._first_names), draw.pick(self._surnames)
        postal_code, postal_town = draw.pick(POSTAL_TOWNS)
        return Person(
            first_name,
            surname,
            self._street_address(),
            postal_code,
            postal_town,
            "FI",
            draw.pick(DIALLING_CODES) + draw.digits(7),
            f"{self._mailbox[first_name]}.{self._mailbox[surname]}.{number}@{draw.pick(EMAIL_DOMAINS)}",
        )

    def name(self) -> str:
        """The name of somebody else, such as the receiver of a present."""
        return f"{self._draw.pick(self._first_names)} {self._draw.pick(self._surnames)}"

    def _street_address(self) -> str:
        draw = self._draw
        street = f"{draw.pick(self._streets)} {draw.between(1, 90)}"
        return f"{street} {draw.pick('ABCDEF')} {draw.between(1, 60)}" if draw.chance(0.5) else street


def demo_iban(draw: Draw) -> str:
    """An IBAN with right check digits (ISO 13616) of a bank that does not exist: no Finnish bank has 9."""
    account = "99999900" + draw.digits(6)
    check = 98 - int(account + "151800") % 97  # F is 15, I is 18
    return f"FI{check:02}{account}"


def _ascii(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return "".join(letter for letter in folded if letter.isalnum())
