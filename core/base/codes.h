/* codes.h - the codes that functions return. Also the public header <sdg/codes.h>: a code keeps its number,
 * and this file includes nothing. */
#ifndef SDG_CODES_H
#define SDG_CODES_H

enum {
    SDG_OK = 0,
    SDG_EINVAL = -1,     /* input that breaks a rule (of a file, of the language, of a flag) */
    SDG_ELIMIT = -2,     /* a named limit was reached */
    SDG_EIO = -3,        /* the operating system said no; errno text is in the sentence */
    SDG_ENOSPACE = -4,   /* disk full: the run can be continued later */
    SDG_ENOTFOUND = -5,  /* a name or file that is not there */
    SDG_EMISMATCH = -6,  /* two things that should belong together do not (an output and another pipeline) */
    SDG_ECANCELLED = -7, /* stopped on request */
    SDG_EPARSE = -8      /* bytes that are not what they should be (JSON, messages) */
};

#endif
