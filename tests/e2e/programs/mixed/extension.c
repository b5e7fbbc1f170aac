// A C extension as a person writes it: calls a Python function, and allocates by Python's
// allocators and by malloc.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>

static void* kept[64];
static int count;

__attribute__((noinline)) static void* from_malloc(Py_ssize_t size) {
  void* block = malloc((size_t)size);
  return block;
}

__attribute__((noinline)) static void* from_python(Py_ssize_t size) {
  void* block = PyMem_Malloc((size_t)size);
  return block;
}

__attribute__((noinline)) static PyObject* extension_blocks(PyObject* self, PyObject* size) {
  const Py_ssize_t bytes = PyLong_AsSsize_t(size);
  kept[count++ % 64] = from_malloc(bytes);
  kept[count++ % 64] = from_python(bytes + 1);
  Py_RETURN_NONE;
}

__attribute__((noinline)) static PyObject* call_it(PyObject* callable) {
  PyObject* result = PyObject_CallObject(callable, NULL);
  return result;
}

__attribute__((noinline)) static PyObject* extension_call(PyObject* self, PyObject* callable) {
  PyObject* result = call_it(callable);
  count += result == NULL;
  return result;
}

static PyMethodDef methods[] = {{"blocks", extension_blocks, METH_O, NULL},
                                {"call", extension_call, METH_O, NULL},
                                {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "extension", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_extension(void) { return PyModule_Create(&module); }
