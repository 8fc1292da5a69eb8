"""The record of processing activities (GDPR Article 30), as it is asked for."""

from __future__ import annotations

import strawberry


@strawberry.type(description="Who answers for the register (GDPR Article 30(1)(a)).")
class DataController:
    name: str = strawberry.field(description="The controller's name.")
    business_id: str = strawberry.field(description="Its business id.")
    address: str = strawberry.field(description="Its address.")
    contact: str = strawberry.field(description="Where it is asked about personal data.")
    data_protection_officer: str | None = strawberry.field(
        description="Where its data protection officer is asked, if it has one."
    )


@strawberry.type(description="A category of people whom data is about (GDPR Article 30(1)(c)).")
class DataSubjectCategory:
    code: str = strawberry.field(description="The code that the tags of columns use.")
    description: str = strawberry.field(description="Who they are.")


@strawberry.type(description="A category of personal data (GDPR Article 30(1)(c)).")
class PersonalDataCategory:
    key: str = strawberry.field(description="The key of the fideslang taxonomy, such as `user.name.first`.")
    columns: list[str] = strawberry.field(description="The columns that hold such data.")
    coordinates: list[str] = strawberry.field(description="The fields that show them.")


@strawberry.type(description="A transfer to a third country (GDPR Article 30(1)(e)).")
class ThirdCountryTransfer:
    country: str = strawberry.field(description="The country.")
    safeguards: str = strawberry.field(description="What makes up for it.")


@strawberry.type(description="To whom data may be disclosed (GDPR Article 30(1)(d)).")
class DataRecipient:
    name: str = strawberry.field(description="Who it is.")
    role: str = strawberry.field(description="`controller` or `processor`.")
    contact: str = strawberry.field(description="Where it is told of an erasure.")
    fields: list[str] = strawberry.field(description="The fields it may be given at most.")
    transfer: ThirdCountryTransfer | None = strawberry.field(
        description="The transfer, where the recipient is in a third country."
    )


@strawberry.type(description="When data is erased (GDPR Article 30(1)(f)).")
class ErasurePeriod:
    rule: str = strawberry.field(description="The name of the rule.")
    after: str = strawberry.field(description="The moment the period runs from.")
    period: str = strawberry.field(description="How long it is.")
    warned: str | None = strawberry.field(description="How long before its end the customer is told.")
    law: str | None = strawberry.field(description="The law that demands it, where one does.")
    categories: list[str] = strawberry.field(description="The categories of data it holds for.")


@strawberry.type(description="What of the data a role has access to, on the rows that the policy gives it.")
class RoleAccess:
    role: str = strawberry.field(description="The role.")
    categories: list[str] = strawberry.field(description="The keys of the categories of data.")
    shown: list[str] = strawberry.field(description="The fields it is shown in full.")
    masked: list[str] = strawberry.field(description="The fields it is shown masked only.")
    changed: list[str] = strawberry.field(description="The fields it may set or change.")


@strawberry.type(description="What is done with personal data for one purpose.")
class ProcessingActivity:
    purpose: str = strawberry.field(description="The purpose's code, as `Processing-Purpose` takes it.")
    description: str = strawberry.field(description="What it is (GDPR Article 30(1)(b)).")
    lawful_bases: list[str] = strawberry.field(description="Letters of GDPR Article 6(1).")
    lists: bool = strawberry.field(description="Whether lists of many people may be read for it.")
    data_subjects: list[DataSubjectCategory] = strawberry.field(description="Whose data it is.")
    categories: list[PersonalDataCategory] = strawberry.field(description="What data it is.")
    recipients: list[DataRecipient] = strawberry.field(description="To whom it may be disclosed.")
    erasure: list[ErasurePeriod] = strawberry.field(description="When it is erased.")
    access: list[RoleAccess] = strawberry.field(description="Which roles have access to it.")


@strawberry.type(description="The record of processing activities (GDPR Article 30).")
class ProcessingRecord:
    controller: DataController = strawberry.field(description="Who answers for the register.")
    policy_version: str = strawberry.field(description="The policy it was made from.")
    notice_version: str = strawberry.field(description="The privacy notice in force.")
    protection: list[str] = strawberry.field(
        description="How the data of every activity is protected (GDPR Articles 30(1)(g) and 32(1))."
    )
    activities: list[ProcessingActivity] = strawberry.field(description="What is done, by purpose.")
