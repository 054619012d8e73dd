"""The part of IAdmin that changes whose an object is, and the photos of users."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.objects.caller import USER_GROUP_ID, Caller
from omero_hcs.sandbox.objects.conditions import security
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.admin_rights import MODIFY_GROUP, AdminService

PHOTO = "openmicroscopy.org/omero/experimenter/photo"


class ObjectChanges(AdminService):
    """Operations that change permissions, owners and groups of objects."""

    def changePermissions(self, obj: Any, permissions: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.row(type(obj).ice_staticId(), obj.id.val, caller)
            if row.entity.name != "ExperimenterGroup":
                msg = "Only groups allowed: objects have the permissions of their group."
                raise security(msg)
            self.change_level(caller, row, str(permissions))

    def changeOwner(self, obj: Any, omeName: str, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.row(type(obj).ice_staticId(), obj.id.val, caller)
            owner = self.user_named(omeName)
            if row.details.owner is not owner and not caller.has("Chown"):
                msg = (
                    f"You are not authorized to change the owner for {row} "
                    f"from {row.details.owner} to {owner}"
                )
                raise security(msg)
            self.world.set_details(row, owner=owner)

    def changeGroup(self, obj: Any, groupName: str, current: Any) -> None:
        with self.writing(current) as caller:
            row = self.row(type(obj).ice_staticId(), obj.id.val, caller)
            group = self.group_named(groupName)
            if row.details.owner is not caller.user and not caller.is_admin:
                msg = f"Cannot change group for:{row}"
                raise security(msg)
            if group.id == USER_GROUP_ID:
                msg = "Use moveToCommonSpace for moving to user group"
                raise security(msg)
            if group not in caller.groups:
                msg = f"Can't change to group; not a member of {group.id}"
                raise security(msg)
            self.world.set_details(row, group=group)
            if row.entity.name == "Image":
                for pixels in self.world.members(row, "pixels"):
                    self.world.set_details(pixels, group=group)

    def moveToCommonSpace(self, objs: Sequence[Any], current: Any) -> None:
        with self.writing(current) as caller:
            for obj in objs:
                row = self.row(type(obj).ice_staticId(), obj.id.val, caller)
                group = row.details.group
                if group is not None and group.id != USER_GROUP_ID:
                    self.check_leads_groups(caller, [group], MODIFY_GROUP)
                    self._share(row)

    def _share(self, row: Row) -> None:
        self.world.set_details(row, group=self.accounts.group_by_id(USER_GROUP_ID))

    # -- photos: a file annotation of the user, which everybody may see

    def getMyUserPhotos(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self.each(self._photos(caller.user), caller)

    def _photos(self, user: Row) -> list[Row]:
        annotations = (link.values["child"] for link in self.world.members(user, "annotationLinks"))
        return [
            one.values["file"]
            for one in annotations
            if one.values.get("ns") == PHOTO and one.values.get("file") is not None
        ]

    def uploadMyUserPhoto(self, filename: str, mimetype: str, data: bytes, current: Any) -> int:
        content = bytes(data)
        with self.writing(current) as caller:
            known = self._photos(caller.user)
            photo = known[0] if known else self._new_photo(caller.user)
            for field, value in (
                ("name", filename),
                ("path", filename),
                ("mimetype", mimetype),
                ("size", len(content)),
                ("hash", hashlib.sha1(content, usedforsecurity=False).hexdigest()),
                ("hasher", self.enumeration("ChecksumAlgorithm", "SHA1-160")),
            ):
                self.world.set(photo, field, value)
            for row in (photo, *self._shown_by(photo)):
                self._belong(row, caller)
            path = self.server.files.original(photo)
            path.write_bytes(content)
        return photo.id

    def _new_photo(self, user: Row) -> Row:
        photo = self.world.insert("OriginalFile")
        annotation = self.world.insert("FileAnnotation", ns=PHOTO, file=photo)
        self.world.insert("ExperimenterAnnotationLink", parent=user, child=annotation)
        return photo

    def _shown_by(self, photo: Row) -> list[Row]:
        annotations = list(self.world.references(photo, "FileAnnotation", "file"))
        links = [
            link
            for annotation in annotations
            for link in self.world.references(annotation, "ExperimenterAnnotationLink", "child")
        ]
        return annotations + links

    def _belong(self, row: Row, caller: Caller) -> None:
        details = row.details
        self.world.set_details(
            row,
            owner=caller.user,
            group=self.accounts.group_by_id(USER_GROUP_ID),
            creation_event=details.creation_event or caller.event,
            update_event=caller.event,
        )
