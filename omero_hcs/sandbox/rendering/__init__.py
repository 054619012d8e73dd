"""How OMERO turns planes into pictures: settings, quantisation, colours, projections."""
