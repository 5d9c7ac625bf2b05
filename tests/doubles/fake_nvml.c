/* A test double of NVML, the NVIDIA management library, for machines without a GPU.
 *
 * The protocol (names, structures, status codes) is the public NVML API reference,
 * https://docs.nvidia.com/deploy/nvml-api/ ; nothing here is NVIDIA's code.
 *
 *     gcc -shared -fPIC -Wall -Wextra -Werror -O1 \
 *         -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 fake_nvml.c
 *     FAKE_NVML=scenarios/t4.json LD_LIBRARY_PATH=$PWD gpustat
 *
 * nvmlInit reads the scenario, and every later call does where the file has changed since: a cell
 * under test can move a card's memory and load while they are sampled. A field that the scenario
 * lacks, or has as null, answers "Not Supported", as a real card does; "init" is the status that
 * nvmlInit returns, "status" the one that each call for a card does; "energy_rises" lets the energy
 * grow by the power, "energy_takes_us" is how long its counter keeps a processor busy (a real H100's
 * 3 to 8 ms, by driver 580; its other answers take under 0.2 ms). The process "self" is the client, "parent" is what started it. A scenario that
 * cannot be read answers 999 and says so on stderr. "fake_nvml_starts" counts the calls of nvmlInit
 * in this process, for tests; no client asks for it. Each reading of a card's memory adds a byte to
 * the file FAKE_NVML_LOG, so that a test can wait until a sampler has read.
 *
 * Clients probe for symbols: what a driver does not export must not be exported here. Compile with
 * -DDRIVER=450, say, for the symbols of that one.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef DRIVER
#define DRIVER 550
#endif

enum status {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, NOT_LOADED = 9, LIBRARY_MISMATCH = 18, VERSION_MISMATCH = 25,
    UNKNOWN = 999
};

/* ---- The scenario: JSON flattened to lines such as "devices.0.memory_MiB.total" = "15360" ---- */

static struct field { char path[96], text[128]; } fields[1024];
static size_t field_count;
static const char *cursor;                 /* the reader's place in the file's text */
static char path[sizeof fields[0].path];   /* where in the document that place is */

static bool accept(char wanted)
{
    cursor += strspn(cursor, " \t\r\n");
    return *cursor == wanted && (cursor++, true);
}

static bool take(size_t length, char *out, size_t size)
{
    if (length >= size)
        return false;
    memcpy(out, cursor, length);
    out[length] = '\0';
    cursor += length;
    return true;
}

static bool read_string(char *out, size_t size)    /* behind its first quote; no escapes */
{
    return take(strcspn(cursor, "\"\\"), out, size) && *cursor == '"' && cursor++;
}

static bool store(const char *text)
{
    if (field_count == sizeof fields / sizeof *fields)
        return false;
    strcpy(fields[field_count].path, path);
    strcpy(fields[field_count++].text, text);
    return true;
}

static bool read_scalar(void)
{
    char text[sizeof fields[0].text], *end;
    if (accept('"'))
        return read_string(text, sizeof text) && store(text);
    if (!take(strcspn(cursor, ",]} \t\r\n"), text, sizeof text))
        return false;
    strtod(text, &end);
    return !strcmp(text, "null") || (*text && !*end && store(text));
}

static bool read_value(void)
{
    char close = accept('{') ? '}' : accept('[') ? ']' : '\0', key[64];
    size_t stem = strlen(path), room = sizeof path - stem;
    unsigned count = 0;
    if (!close)
        return read_scalar();
    for (bool done = accept(close); !done; done = !accept(','), count++) {
        sprintf(key, "%u", count);
        if (close == '}' && !(accept('"') && read_string(key, sizeof key) && accept(':')))
            return false;
        if (snprintf(path + stem, room, "%s%s", stem ? "." : "", key) >= (int)room)
            return false;
        if (!read_value())
            return false;
        path[stem] = '\0';
    }
    if (count && !accept(close))
        return false;
    sprintf(key, "%u", count);
    return close == '}' || store(key);     /* an array's own path holds its length */
}

static const char *scenario(void) { return getenv("FAKE_NVML") ?: "(FAKE_NVML is not set)"; }

static struct stat read_from;              /* the file as it was when it was read */

static bool has_changed(void)
{
    struct stat now;
    return !stat(scenario(), &now) && (now.st_ino != read_from.st_ino
           || memcmp(&now.st_mtim, &read_from.st_mtim, sizeof now.st_mtim));
}

static bool read_scenario(void)
{
    static char document[1 << 16];
    const char *name = scenario();
    stat(name, &read_from);
    FILE *file = fopen(name, "r");
    document[file ? fread(document, 1, sizeof document - 1, file) : 0] = '\0';
    if (file)
        fclose(file);
    field_count = 0;
    path[0] = '\0';
    cursor = document;
    bool good = read_value() && !*(cursor + strspn(cursor, " \t\r\n"));
    if (!good)
        fprintf(stderr, "fake NVML: cannot read %s near byte %td\n", name, cursor - document);
    return good;
}

/* ---- Answers: an entry point is one of these with the name of a field ---- */

typedef const char *device;                /* the client's opaque handle: a place in one of these */
enum { CARDS = 16, SLICES = 8 };
static const char cards[CARDS], driver[1]; /* the driver's own fields stand at the top level */
static const char slices[CARDS * SLICES];  /* the MIG instances of all cards */
static unsigned sessions;
static struct timespec began;

static bool is_slice(device handle)
{ return handle >= slices && handle < slices + sizeof slices; }

static int card_of(device handle)
{ return is_slice(handle) ? (int)(handle - slices) / SLICES : (int)(handle - cards); }

static const char *look_up(device handle, const char *name)
{
    char wanted[2 * sizeof path];
    int length = snprintf(wanted, sizeof wanted, "devices.%d.", card_of(handle));
    if (is_slice(handle))
        length += sprintf(wanted + length, "mig_devices.%d.", (int)(handle - slices) % SLICES);
    snprintf(wanted + length, sizeof wanted - length, "%s", name);
    for (size_t i = 0; i < field_count; i++)
        if (!strcmp(fields[i].path, handle == driver ? name : wanted))
            return fields[i].text;
    return NULL;
}

static unsigned card_count(void)
{
    const char *length = look_up(driver, "devices");
    return length ? (unsigned)strtoul(length, NULL, 10) : 0;
}

static unsigned slice_count(unsigned card)
{
    const char *length = look_up(cards + card, "mig_devices");
    return length ? (unsigned)strtoul(length, NULL, 10) : 0;
}

static enum status check(device handle)
{
    if (sessions && has_changed() && !read_scenario())
        return UNKNOWN;
    bool known = handle == driver || (handle >= cards && handle < cards + card_count())
                 || (is_slice(handle)
                     && (handle - slices) % SLICES < (int)slice_count(card_of(handle)));
    const char *text = known && handle != driver ? look_up(handle, "status") : NULL;
    return !sessions ? UNINITIALIZED : !known ? INVALID_ARGUMENT : text ? atoi(text) : SUCCESS;
}

static enum status number(device handle, const char *name, unsigned *out)
{
    enum status status = check(handle);
    const char *text = status ? NULL : look_up(handle, name);
    if (text)
        *out = (unsigned)strtoul(text, NULL, 0);
    return status ?: text ? SUCCESS : NOT_SUPPORTED;
}

static enum status string(device handle, const char *name, char *out, unsigned size)
{
    enum status status = check(handle);
    const char *text = status ? NULL : look_up(handle, name);
    if (text && strlen(text) < size)
        strcpy(out, text);
    return status ?: !text ? NOT_SUPPORTED : strlen(text) < size ? SUCCESS : INSUFFICIENT_SIZE;
}

static enum status mebibytes(device handle, const char *name, unsigned long long *out)
{
    unsigned count;
    enum status status = number(handle, name, &count);
    if (!status)
        *out = (unsigned long long)count << 20;
    return status;
}

#define NUMBER(function, name) \
    int function(device card, unsigned *out) { return number(card, name, out); }
#define STRING(function, name) \
    int function(device card, char *out, unsigned size) { return string(card, name, out, size); }
#define ALIAS(function, other) __typeof__(other) function __attribute__((alias(#other)));

/* ---- Session and system ---- */

int fake_nvml_starts;

int nvmlInit_v2(void)
{
    fake_nvml_starts++;
    if (!sessions && !read_scenario())
        return UNKNOWN;
    const char *refusal = look_up(driver, "init");
    int status = refusal ? atoi(refusal) : SUCCESS;
    if (!sessions)
        clock_gettime(CLOCK_MONOTONIC, &began);
    sessions += status == SUCCESS;
    return status;
}
ALIAS(nvmlInit, nvmlInit_v2)

int nvmlInitWithFlags(unsigned flags) { return flags > 3 ? INVALID_ARGUMENT : nvmlInit_v2(); }

int nvmlShutdown(void) { return sessions ? (sessions--, SUCCESS) : UNINITIALIZED; }

const char *nvmlErrorString(int status)
{
    static const char *const texts[] = {
        [SUCCESS] = "Success", [UNINITIALIZED] = "Uninitialized", [NOT_FOUND] = "Not Found",
        [INVALID_ARGUMENT] = "Invalid Argument", [NOT_SUPPORTED] = "Not Supported",
        [INSUFFICIENT_SIZE] = "Insufficient Size", [NOT_LOADED] = "Driver Not Loaded",
        [LIBRARY_MISMATCH] = "Driver/library version mismatch",
    };
    bool known = status >= 0 && status <= LIBRARY_MISMATCH && texts[status];
    return known ? texts[status] : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *out, unsigned size)
{ return string(driver, "driver_version", out, size); }

int nvmlSystemGetNVMLVersion(char *out, unsigned size)
{ return string(driver, "nvml_version", out, size); }

int nvmlSystemGetCudaDriverVersion(unsigned *out) { return number(driver, "cuda_version", out); }
ALIAS(nvmlSystemGetCudaDriverVersion_v2, nvmlSystemGetCudaDriverVersion)

/* ---- Which cards there are ---- */

int nvmlDeviceGetCount_v2(unsigned *out) { return number(driver, "devices", out); }
ALIAS(nvmlDeviceGetCount, nvmlDeviceGetCount_v2)

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device *out)
{
    *out = index < CARDS ? cards + index : NULL;
    return check(*out);
}
ALIAS(nvmlDeviceGetHandleByIndex, nvmlDeviceGetHandleByIndex_v2)

static enum status find(const char *name, const char *wanted, device *out)
{
    char text[sizeof fields[0].text];
    for (*out = cards; !check(*out); ++*out)
        if (!string(*out, name, text, sizeof text) && !strcmp(text, wanted))
            return SUCCESS;
    return sessions ? NOT_FOUND : UNINITIALIZED;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device *out) { return find("uuid", uuid, out); }

int nvmlDeviceGetHandleByPciBusId_v2(const char *id, device *out)
{ return find("pci_bus_id", id, out); }
ALIAS(nvmlDeviceGetHandleByPciBusId, nvmlDeviceGetHandleByPciBusId_v2)

int nvmlDeviceGetIndex(device card, unsigned *out)
{ return check(card) ?: (*out = (unsigned)card_of(card), SUCCESS); }
ALIAS(nvmlDeviceGetMinorNumber, nvmlDeviceGetIndex)

STRING(nvmlDeviceGetName, "name")
STRING(nvmlDeviceGetUUID, "uuid")

struct pci { char short_id[16]; unsigned domain, bus, slot, ids[2]; char id[32]; };

int nvmlDeviceGetPciInfo_v3(device card, struct pci *out)
{
    memset(out, 0, sizeof *out);
    enum status status = string(card, "pci_bus_id", out->id, sizeof out->id)
                         ?: number(card, "pci_device_id", &out->ids[0]);
    if (!status && sscanf(out->id, "%x:%x:%x", &out->domain, &out->bus, &out->slot) != 3)
        status = UNKNOWN;
    memcpy(out->short_id, out->id + 4, sizeof out->short_id);      /* a domain of four digits */
    return status;
}

int nvmlDeviceGetCudaComputeCapability(device card, unsigned *major, unsigned *minor)
{
    return number(card, "compute_capability.0", major)
           ?: number(card, "compute_capability.1", minor);
}

/* ---- What a card is doing ---- */

struct memory { unsigned long long total, free, used; };    /* "used" includes the reserved */
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };

static enum status memory_of(device card, struct memory_v2 *out)
{
    if (out->version != (sizeof *out | 2u << 24))
        return VERSION_MISMATCH;
    enum status status = mebibytes(card, "memory_MiB.total", &out->total)
                         ?: mebibytes(card, "memory_MiB.reserved", &out->reserved)
                         ?: mebibytes(card, "memory_MiB.used", &out->used);
    out->free = out->total - out->reserved - out->used;
    return status;
}

static void log_reading(void)
{
    const char *name = getenv("FAKE_NVML_LOG");
    FILE *file = name ? fopen(name, "a") : NULL;
    if (file) {
        fputc('.', file);
        fclose(file);
    }
}

int nvmlDeviceGetMemoryInfo(device card, struct memory *out)
{
    log_reading();
    struct memory_v2 full = {.version = sizeof full | 2u << 24};
    enum status status = memory_of(card, &full);
    *out = (struct memory){full.total, full.free, full.total - full.free};
    return status;
}

#if DRIVER >= 510
int nvmlDeviceGetMemoryInfo_v2(device card, struct memory_v2 *out) { return memory_of(card, out); }
#endif

int nvmlDeviceGetUtilizationRates(device card, unsigned out[2])
{
    return number(card, "utilization_percent.gpu", out)
           ?: number(card, "utilization_percent.memory", out + 1);
}

int nvmlDeviceGetEncoderUtilization(device card, unsigned *out, unsigned *period_us)
{ return *period_us = 167000, number(card, "utilization_percent.encoder", out); }

int nvmlDeviceGetDecoderUtilization(device card, unsigned *out, unsigned *period_us)
{ return *period_us = 167000, number(card, "utilization_percent.decoder", out); }

int nvmlDeviceGetTemperature(device card, unsigned sensor, unsigned *out)
{ return sensor ? INVALID_ARGUMENT : number(card, "temperature_C", out); }

NUMBER(nvmlDeviceGetFanSpeed, "fan_percent")
NUMBER(nvmlDeviceGetPowerUsage, "power_mW")
NUMBER(nvmlDeviceGetPowerManagementLimit, "power_limit_mW")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, "power_limit_mW")

NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie.generation")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie.lanes")

int nvmlDeviceGetClockInfo(device card, unsigned kind, unsigned *out)
{
    static const char *const names[] = {
        "clocks_MHz.graphics", "clocks_MHz.sm", "clocks_MHz.memory", "clocks_MHz.video",
    };
    return kind < sizeof names / sizeof *names ? number(card, names[kind], out) : INVALID_ARGUMENT;
}

static enum status wide(device card, const char *name, unsigned long long *out)
{
    const char *text = check(card) ? NULL : look_up(card, name);
    if (text)
        *out = strtoull(text, NULL, 0);
    return check(card) ?: text ? SUCCESS : NOT_SUPPORTED;
}

static double seconds_since(struct timespec then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - then.tv_sec + (now.tv_nsec - then.tv_nsec) / 1e9;
}

int nvmlDeviceGetTotalEnergyConsumption(device card, unsigned long long *out)
{
    struct timespec asked;
    clock_gettime(CLOCK_MONOTONIC, &asked);
    enum status status = wide(card, "energy_mJ", out);
    unsigned power = 0, takes = 0;
    if (!status && look_up(card, "energy_rises") && !number(card, "power_mW", &power))
        *out += (unsigned long long)(power * seconds_since(began));
    if (!status && !number(card, "energy_takes_us", &takes))
        while (seconds_since(asked) * 1e6 < takes)
            ;
    return status;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(device card, unsigned long long *out)
{ return wide(card, "throttle_reasons", out); }
#if DRIVER >= 535
ALIAS(nvmlDeviceGetCurrentClocksEventReasons, nvmlDeviceGetCurrentClocksThrottleReasons)
#endif

int nvmlDeviceGetTotalEccErrors(device card, unsigned kind, unsigned counter,
                                unsigned long long *out)
{
    return kind > 1 || counter > 1 ? INVALID_ARGUMENT
         : wide(card, kind ? "ecc_errors.uncorrected" : "ecc_errors.corrected", out);
}

/* ---- Who is using it: version 1 knows no MIG instances, 2 and 3 have one structure ---- */

struct process_v1 { unsigned pid; unsigned long long used; };
struct process { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };

static unsigned pid_of(device card, const char *name)
{
    char text[16] = "";
    string(card, name, text, sizeof text);
    return !strcmp(text, "self")   ? (unsigned)getpid()
         : !strcmp(text, "parent") ? (unsigned)getppid()
                                   : (unsigned)strtoul(text, NULL, 0);
}

static enum status processes(device card, const char *kind, unsigned *count, struct process *out)
{
    unsigned listed = 0, found = 0, room = out ? *count : 0;
    enum status status = number(card, "processes", &listed);
    for (unsigned i = 0; i < listed; i++) {
        struct process process = {0, ~0ULL, ~0u, ~0u};     /* ~0: not available */
        char name[40], text[16];
        int stem = sprintf(name, "processes.%u.", i);
        strcpy(name + stem, "kind");
        if (string(card, name, text, sizeof text) || strcmp(text, kind))
            continue;
        strcpy(name + stem, "pid");
        process.pid = pid_of(card, name);
        strcpy(name + stem, "used_MiB");
        mebibytes(card, name, &process.used);
        if (is_slice(card))
            number(card, "gpu_instance", &process.gpu_instance);
        if (is_slice(card))
            number(card, "compute_instance", &process.compute_instance);
        if (found++ < room)
            out[found - 1] = process;
    }
    *count = found;
    return status ?: found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

static enum status processes_v1(device card, const char *kind, unsigned *count,
                                struct process_v1 *out)
{
    struct process full[64];
    unsigned room = out ? *count : 0;
    *count = sizeof full / sizeof *full;
    enum status status = processes(card, kind, count, full);
    for (unsigned i = 0; i < *count && i < room; i++)
        out[i] = (struct process_v1){full[i].pid, full[i].used};
    return status ?: *count > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(function, structure, list, kind) \
    int function(device card, unsigned *count, struct structure *out) \
    { return list(card, kind, count, out); }

PROCESSES(nvmlDeviceGetComputeRunningProcesses, process_v1, processes_v1, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, process_v1, processes_v1, "graphics")
#if DRIVER >= 460
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, process, processes, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, process, processes, "graphics")
#endif
#if DRIVER >= 510
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, process, processes, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, process, processes, "graphics")
#endif

int nvmlDeviceGetProcessUtilization(device card, void *out, unsigned *count,
                                    unsigned long long since)
{ return (void)out, (void)since, check(card) ?: (*count = 0, NOT_FOUND); }

/* ---- Multi-instance GPU: a card with "mig_devices" is divided into them ---- */

int nvmlDeviceGetMigMode(device card, unsigned *current, unsigned *pending)
{ return number(card, "mig", current) ?: (*pending = *current, SUCCESS); }

int nvmlDeviceGetMaxMigDeviceCount(device card, unsigned *out)
{ return check(card) ?: (*out = look_up(card, "mig_devices") ? SLICES : 0, SUCCESS); }

int nvmlDeviceIsMigDeviceHandle(device card, unsigned *out)
{ return check(card) ?: (*out = is_slice(card), SUCCESS); }

int nvmlDeviceGetMigDeviceHandleByIndex(device card, unsigned index, device *out)
{
    *out = NULL;
    enum status status = check(card);
    if (status || is_slice(card) || index >= SLICES)
        return status ?: INVALID_ARGUMENT;
    if (index >= slice_count(card_of(card)))
        return look_up(card, "mig_devices") ? NOT_FOUND : NOT_SUPPORTED;
    return *out = slices + SLICES * card_of(card) + index, SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device slice, device *out)
{
    *out = NULL;
    return check(slice) ?: !is_slice(slice) ? INVALID_ARGUMENT
                                            : (*out = cards + card_of(slice), SUCCESS);
}

int nvmlDeviceGetGpuInstanceId(device slice, unsigned *out)
{ return is_slice(slice) ? number(slice, "gpu_instance", out) : NOT_SUPPORTED; }

int nvmlDeviceGetComputeInstanceId(device slice, unsigned *out)
{ return is_slice(slice) ? number(slice, "compute_instance", out) : NOT_SUPPORTED; }
