// What IcePy's sources (zeroc-ice 3.6.5, src/*.cpp) lack in Python 3.11 and later, and one mend. Forced in front of
// each of them by `g++ -include`, so that ZeroC's own files stay as they are.
//
// This file is part of omero-hcs, GPL-2.0-or-later.

#ifndef OMERO_HCS_PYTHON_SHIM_HPP
#define OMERO_HCS_PYTHON_SHIM_HPP

#include <Python.h>
#include <frameobject.h>

// A peer may send text that is not UTF-8. IcePy does not look at what Python makes of it, which is nothing, and
// crashes: before anybody has logged in, if the peer asks the router. Such bytes become U+FFFD instead.
#define PyUnicode_FromStringAndSize(text, size) PyUnicode_DecodeUTF8((text), (size), "replace")

#if PY_VERSION_HEX >= 0x030B0000

// Python 3.11 hides the members of its frames. Util.cpp, which names the function of an error message, asks for
// `PyThreadState_GET()->frame`: here that is an object whose only member is what the public function returns.
namespace OmeroHcs
{

struct CurrentThread
{
    PyFrameObject* frame; // borrowed, as the member was

    const CurrentThread* operator->() const
    {
        return this;
    }
};

}

#undef PyThreadState_GET
#define PyThreadState_GET() (OmeroHcs::CurrentThread{PyEval_GetFrame()})

#endif

#if PY_VERSION_HEX >= 0x030D0000

// Removed in Python 3.13, after its new name had been there since 2.2.
#define PyEval_CallObject(callable, arguments) PyObject_CallObject(callable, arguments)

// Removed in Python 3.13: the bytes of an object that has the buffer interface. As the function that it replaces,
// it gives back a pointer that lives as long as the object, and sets an exception where there is none.
static inline int
PyObject_AsReadBuffer(PyObject* object, const void** bytes, Py_ssize_t* length)
{
    Py_buffer view;
    if(PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) != 0)
    {
        return -1;
    }
    *bytes = view.buf;
    *length = view.len;
    PyBuffer_Release(&view);
    return 0;
}

#endif

#endif
