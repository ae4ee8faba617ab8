// sqlite_lock.c - see sqlite_internal.h: the database's file, and who may open it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

// Magic numbers of statfs(2). WAL mode needs locks and shared memory that everybody who
// opens the file takes part in; over a network one side sees its own only, and the
// database is destroyed quietly. FUSE is here because nobody can tell what is behind it.
static const struct {
    unsigned long magic;
    const char *name;
} remote[] = {
    {0x6969, "NFS"},         {0x517b, "SMB"},        {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB2"},    {0x5346414f, "AFS"},    {0x6b414653, "AFS"},
    {0x73757245, "Coda"},    {0x01021997, "9P"},     {0x00c36400, "Ceph"},
    {0x65735546, "FUSE"},    {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"},
    {0x7461636f, "OCFS2"},   {0x01161970, "GFS2"},   {0xaad7aaea, "PanFS"},
    {0x786f4256, "VBoxSF"},  {0x013111a8, "IBRIX"},  {0x19830326, "BeeGFS"},
    {0x61756673, "a union"}, {0x564c, "NCP"},
};

bool tm_filesystem_remote(unsigned long magic, const char **name) {
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++) {
        if (remote[i].magic != (magic & 0xffffffffu)) continue;
        *name = remote[i].name;
        return true;
    }
    return false;
}

static tm_status failed(const char *what, const char *path,
                        char problem[TM_PROBLEM_MAX]) {
    snprintf(problem, TM_PROBLEM_MAX, "%s %.160s: %s", what, path, strerror(errno));
    return TM_E_IO;
}

// The directory of a file; sqlite3_free. NULL: out of memory.
static char *directory_of(const char *path) {
    char *directory = sqlite3_mprintf("%s", path);
    char *slash = directory == NULL ? NULL : strrchr(directory, '/');
    if (slash != NULL) slash[slash == directory ? 1 : 0] = '\0';
    return directory;
}

tm_status tm_file_local(const char *path, char problem[TM_PROBLEM_MAX]) {
    struct statfs fs;
    const char *name = NULL;
    int rc = statfs(path, &fs);
    if (rc != 0 && errno == ENOENT) { // it will be made: look at its directory
        char *directory = directory_of(path);
        if (directory == NULL) return TM_E_NOMEM;
        rc = statfs(directory, &fs);
        int error = errno;
        sqlite3_free(directory);
        errno = error;
    }
    if (rc != 0) return failed("cannot examine", path, problem);
    if (!tm_filesystem_remote((unsigned long)fs.f_type, &name)) return TM_OK;
    snprintf(problem, TM_PROBLEM_MAX,
             "%.120s is on a network filesystem (%s), where SQLite's locks do not "
             "hold: use a local disk",
             path, name);
    return TM_E_STATE;
}

tm_status tm_path_resolve(const char *path, const char *vfs_name, char **resolved,
                          char problem[TM_PROBLEM_MAX]) {
    sqlite3_vfs *vfs =
        sqlite3_initialize() == SQLITE_OK ? sqlite3_vfs_find(vfs_name) : NULL;
    if (vfs == NULL && vfs_name != NULL) {
        snprintf(problem, TM_PROBLEM_MAX, "SQLite knows no VFS %.80s", vfs_name);
        return TM_E_STATE;
    }
    char *full = vfs == NULL ? NULL : sqlite3_malloc(vfs->mxPathname + 1);
    if (full == NULL) {
        snprintf(problem, TM_PROBLEM_MAX, "out of memory");
        return TM_E_NOMEM;
    }
    int rc = vfs->xFullPathname(vfs, path, vfs->mxPathname, full);
    if ((rc & 0xff) != SQLITE_OK) { // SQLITE_OK_SYMLINK is fine
        sqlite3_free(full);
        snprintf(problem, TM_PROBLEM_MAX, "%.160s: there is no such place", path);
        return TM_E_IO;
    }
    *resolved = full;
    return TM_OK;
}

tm_status tm_directory_sync(const char *path, char problem[TM_PROBLEM_MAX]) {
    char *directory = directory_of(path);
    if (directory == NULL) return TM_E_NOMEM;
    int fd = open(directory, O_RDONLY | O_CLOEXEC);
    tm_status status = TM_OK;
    if (fd < 0 || fsync(fd) != 0) {
        status = failed("cannot sync", directory, problem);
    }
    if (fd >= 0) close(fd);
    sqlite3_free(directory);
    return status;
}

tm_status tm_file_sync(const char *path, char problem[TM_PROBLEM_MAX]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed("cannot open", path, problem);
    int rc = fsync(fd);
    tm_status status = rc == 0 ? TM_OK : failed("cannot sync", path, problem);
    close(fd);
    return status == TM_OK ? tm_directory_sync(path, problem) : status;
}

tm_status tm_file_create(const char *path, bool exclusive,
                         char problem[TM_PROBLEM_MAX]) {
    // A database that is there must not be opened: closing a descriptor of a file drops
    // all locks that this process has on it, those of SQLite too.
    struct stat st;
    if (!exclusive && stat(path, &st) == 0) return TM_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return failed("cannot create", path, problem);
    close(fd);
    return tm_directory_sync(path, problem);
}

// Who holds it, for the message: the holder wrote its process id.
static void holder(int fd, char text[24]) {
    ssize_t len = pread(fd, text, 23, 0);
    text[len > 0 ? len : 0] = '\0';
    text[strspn(text, "0123456789")] = '\0';
}

tm_status tm_lock_take(const char *path, int *fd, char problem[TM_PROBLEM_MAX]) {
    char *name = sqlite3_mprintf("%s-lock", path);
    if (name == NULL) {
        snprintf(problem, TM_PROBLEM_MAX, "out of memory");
        return TM_E_NOMEM;
    }
    tm_status status = TM_OK;
    int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        status = failed("cannot open", name, problem);
    } else if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        char who[24];
        holder(lock, who);
        snprintf(
            problem, TM_PROBLEM_MAX,
            "%.120s is open in another Tidemark (process %s): stop that one first",
            path, who);
        status = TM_E_STATE;
    } else if (ftruncate(lock, 0) == 0) {
        // The file is never removed: whoever had opened it just before would hold a lock
        // that nobody else sees.
        char who[24];
        int len = snprintf(who, sizeof who, "%ld\n", (long)getpid());
        if (pwrite(lock, who, (size_t)len, 0) != len) who[0] = '\0'; // only words
    }
    sqlite3_free(name);
    if (status == TM_OK) {
        *fd = lock;
    } else if (lock >= 0) {
        close(lock);
    }
    return status;
}
