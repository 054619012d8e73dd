"""What tests of permissions need: one who acts in a group, and how he joins objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import omero
from omero.model import (
    CommentAnnotationI,
    DatasetI,
    DatasetImageLinkI,
    ImageAnnotationLinkI,
    ImageI,
    TagAnnotationI,
)
from omero.rtypes import rstring


@dataclass
class Actor:
    """One who acts, always in the same group."""

    conn: Any
    group: int

    @property
    def context(self):
        return {"omero.group": str(self.group)}

    def save(self, obj, context=None):
        service = self.conn.c.sf.getUpdateService()
        return service.saveAndReturnObject(obj, context or self.context)

    def load(self, kind, number):
        return self.conn.c.sf.getQueryService().get(kind, number, self.context)

    def image(self, name="image"):
        image = ImageI()
        image.name = rstring(name)
        return self.save(image)

    def dataset(self):
        dataset = DatasetI()
        dataset.name = rstring("dataset")
        return self.save(dataset)

    def tag(self):
        tag = TagAnnotationI()
        tag.textValue = rstring("tag")
        return self.save(tag)

    def delete(self, kind, number):
        request = omero.cmd.Delete2(targetObjects={kind: [number]})
        callback = self.conn.c.submit(
            request, loops=100, ms=100, failonerror=False, ctx=self.context
        )
        try:
            return isinstance(callback.getResponse(), omero.cmd.OK)
        finally:
            callback.close(closeHandle=True)


def unloaded(obj):
    return type(obj)(obj.id.val, loaded=False)


def annotate(who, image):
    link = ImageAnnotationLinkI()
    link.parent, link.child = unloaded(image), CommentAnnotationI()
    link.child.textValue = rstring("seen")
    who.save(link)


def link_to(who, image):
    link = DatasetImageLinkI()
    link.parent, link.child = unloaded(who.dataset()), unloaded(image)
    who.save(link)
