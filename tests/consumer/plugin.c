/* A program's own library with costate inside, installed beside costate's models: they are found from where it lies. */
#include <costate.h>
#include <stdio.h>

int open_model(const char* name) {
  costate_model* model = NULL;
  costate_status status = costate_open(name, NULL, &model);
  if (status != COSTATE_OK) fprintf(stderr, "failed: %s\n", costate_error());
  costate_close(model);
  return status == COSTATE_OK ? 0 : 1;
}
