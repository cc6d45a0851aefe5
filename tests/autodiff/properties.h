// The properties every op case must have; each is one test, named cases/FILE/OP_VARIANT/PROPERTY.
#pragma once

#include "tests/cases/case.h"

namespace costate {

void check_values(const Case& c);          ///< finite, well shaped, and what plain loops give
void check_derivatives_of(const Case& c);  ///< difference quotients and duality, at order 1 and 2
void check_spec(const Case& c);            ///< equal to the composition it fuses, values and both derivatives
void check_ladder(const Case& c);          ///< f32 and bf16 against f64 of the same numbers
void check_repeats(const Case& c);         ///< the same bits on reused memory and on 1 to 4 threads
void check_rows(const Case& c);            ///< a row of a batch equals the row alone
void check_guards(const Case& c);          ///< reads nothing beside its inputs and writes nothing to them
void check_wrong(const WrongCall& call);   ///< throws, naming the op

}  // namespace costate
