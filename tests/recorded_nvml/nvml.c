/* Nvidia's management library, answering from a file instead of a driver: the package nvidia-ml-py loads it as is.

   RECORDED_NVML names the file. A line is `card question answer`: a number, `error N` (nvmlReturn_t), or, for
   the energy, `watts W`: a counter in mJ that grows with the wall clock. What is not answered is not supported. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, NO_DRIVER = 9, UNKNOWN = 999 };
typedef struct { char name[96]; } Card;
static Card cards[16];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The answer to a question about a card; text of the rest of its line, or NULL. */
static int answer(const char *card, const char *question, char *rest, size_t room) {
  const char *path = getenv("RECORDED_NVML");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return 0;
  char line[512], of[128], about[128];
  int found = 0, used = 0;
  while (!found && fgets(line, sizeof line, file))
    if (sscanf(line, "%127s %127s %n", of, about, &used) == 2 && !strcmp(of, card) && !strcmp(about, question)) {
      snprintf(rest, room, "%s", line + used);
      rest[strcspn(rest, "\n")] = 0;
      found = 1;
    }
  fclose(file);
  return found;
}

static int number(const void *card, const char *question, unsigned long long *value) {
  char rest[256];
  double watts;
  int code;
  if (!answer(((const Card *)card)->name, question, rest, sizeof rest)) return NOT_SUPPORTED;
  if (sscanf(rest, "error %d", &code) == 1) return code;
  if (sscanf(rest, "watts %lf", &watts) == 1) {
    *value = (unsigned long long)(now() * watts * 1e3);
    return SUCCESS;
  }
  *value = strtoull(rest, NULL, 0);
  return SUCCESS;
}

static int small(const void *card, const char *question, unsigned *value) {
  unsigned long long wide = 0;
  int code = number(card, question, &wide);
  *value = (unsigned)wide;
  return code;
}

int nvmlInitWithFlags(unsigned flags) {
  Card all = {"all"};
  unsigned ok = 0;
  (void)flags;
  int code = small(&all, "init", &ok);
  return code == NOT_SUPPORTED ? SUCCESS : code;
}
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) {
  switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case NO_DRIVER: return "Driver Not Loaded";
    case UNKNOWN: return "Unknown Error";
    case 4: return "Insufficient Permissions";
    case 15: return "GPU is lost";
    default: return "Some Error";
  }
}
int nvmlDeviceGetCount_v2(unsigned *count) {
  Card all = {"all"};
  return small(&all, "count", count);
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **card) {
  unsigned count = 0;
  nvmlDeviceGetCount_v2(&count);
  if (index >= count || index >= 16) return INVALID;
  snprintf(cards[index].name, sizeof cards[index].name, "%u", index);
  *card = &cards[index];
  return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(const char *identifier, void **card) {
  char rest[8];
  if (!answer(identifier, "slice", rest, sizeof rest)) return NOT_FOUND;
  snprintf(cards[15].name, sizeof cards[15].name, "%s", identifier);
  *card = &cards[15];
  return SUCCESS;
}
int nvmlDeviceGetUUID(const void *card, char *identifier, unsigned length) {
  return answer(((const Card *)card)->name, "uuid", identifier, length) ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetTotalEnergyConsumption(const void *card, unsigned long long *mj) { return number(card, "energy", mj); }
int nvmlDeviceGetPowerUsage(const void *card, unsigned *mw) { return small(card, "power", mw); }
int nvmlDeviceGetEnforcedPowerLimit(const void *card, unsigned *mw) { return small(card, "limit", mw); }
int nvmlDeviceGetPowerManagementDefaultLimit(const void *card, unsigned *mw) { return small(card, "default", mw); }
int nvmlDeviceGetClockInfo(const void *card, int type, unsigned *mhz) {
  return small(card, type == 1 ? "sm" : type == 2 ? "memory" : "other", mhz);
}
int nvmlDeviceGetTemperature(const void *card, int sensor, unsigned *celsius) {
  return sensor == 0 ? small(card, "temperature", celsius) : INVALID;
}
int nvmlDeviceGetCurrentClocksEventReasons(const void *card, unsigned long long *bits) {
  return number(card, "reasons", bits);
}
int nvmlDeviceGetMigMode(const void *card, unsigned *current, unsigned *pending) {
  int code = small(card, "mig", current);
  *pending = *current;
  return code;
}
/* As the driver: with too little room it tells how much is needed. The package gives an array of 24-byte entries. */
int nvmlDeviceGetComputeRunningProcesses_v3(const void *card, unsigned *count, void *infos) {
  unsigned there = 0, room = *count;
  int code = small(card, "processes", &there);
  if (code != SUCCESS) return code;
  *count = there;
  if (there == 0) return SUCCESS;
  if (!infos || room < there) return SMALL;
  memset(infos, 0, 24 * there);
  return SUCCESS;
}
