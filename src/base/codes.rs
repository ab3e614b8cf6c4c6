//! The table of diagnostic codes.
//!
//! Invariant: codes are stable forever; each has a page `docs/errors/CODE.md`, embedded and shown by `ravine explain`.
//! Ranges: R01 syntax, R02 names, types, shapes, R03 sets and data binding, R04 problems, R05 curvature,
//! R06 files, R07 solve and pipelines, R08 while running, R09 internal.

use super::diagnostic::Level;

macro_rules! codes {
    ($($code:ident $name:ident $level:ident $summary:literal;)*) => {
        /// A stable diagnostic code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the summary column documents each code")]
        pub enum Code { $($name,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];
            /// The code as the user sees it, such as `R0203`.
            pub fn id(self) -> &'static str {
                match self { $(Code::$name => stringify!($code),)* }
            }
            /// The level a diagnostic of this code has unless raised or lowered.
            pub fn level(self) -> Level {
                match self { $(Code::$name => Level::$level,)* }
            }
            /// One line for lists.
            pub fn summary(self) -> &'static str {
                match self { $(Code::$name => $summary,)* }
            }
            /// The whole page.
            pub fn page(self) -> &'static str {
                match self { $(Code::$name => include_str!(concat!("../../docs/errors/", stringify!($code), ".md")),)* }
            }
        }
    };
}

codes! {
    R0101 Syntax Error "the text is not a statement of the language";
    R0102 Nesting Error "brackets are nested too deeply";
    R0103 Unbalanced Error "a bracket or a text is not closed, or closes nothing";
    R0104 AsciiForm Error "a character has an ASCII form that the language reads";
    R0105 BadNumber Error "a number is malformed";
    R0106 BeginsWithMinus Error "a line may not begin with a minus";
    R0107 UpdateInExpression Error "`<-` stands where a comparison with a negative number was probably meant";
    R0108 ReservedWord Error "a reserved word is used as a name";
    R0109 BadEscape Error "a text holds an unknown escape";
    R0110 ClauseOrder Error "a clause stands where it cannot";
    R0111 AmbiguousSpacing Error "uneven spacing around an operator inside brackets";
    R0112 MixedChain Error "comparisons are chained in two directions";
    R0190 NotBuiltYet Error "part of the language that is not built yet";
    R0201 UnknownName Error "a name is not known here";
    R0202 WrongType Error "a value of another type was expected";
    R0203 ShapeMismatch Error "dimensions of an operation differ";
    R0204 SwappedIndices Error "indices stand in another order than the array's dimensions";
    R0205 VectorTimesVector Error "vector times vector is ambiguous";
    R0206 WrongIndexCount Error "another number of indices than the array has dimensions";
    R0207 WrongIndexSet Error "an index does not range over the array's dimension";
    R0208 DuplicateName Error "a name is declared twice";
    R0209 BareAssignment Error "`=` to a name that is not a parameter";
    R0210 NoOverload Error "no form of a function takes these arguments";
    R0211 WrongArity Error "another number of arguments than the function takes";
    R0212 BoundName Error "an index name is used outside its body, or shadows another name";
    R0213 NoBroadcast Error "arrays over different sets combine only by a comprehension";
    R0214 ConditionOnVariable Error "a condition depends on a variable";
    R0215 UnknownArgument Error "a named argument is unknown or given twice";
    R0216 UnknownField Error "a solution or a problem has no such field";
    R0217 Recursion Error "a definition refers to itself";
    R0301 UnboundParam Error "a parameter has no value";
    R0302 SizeConflict Error "a size is bound to two different numbers";
    R0303 CheckFailed Error "a parameter's value fails its check";
    R0304 UnknownLabel Error "a label is not an element of the set";
    R0305 MissingLabel Error "an element of the set has no entry";
    R0306 IndexOutOfRange Error "an index leaves its dimension";
    R0307 DuplicateLabel Error "a set or an array names an element twice";
    R0308 BadSetting Error "a value given on the command line does not fit";
    R0309 TooLarge Error "a request exceeds the memory budget";
    R0310 WrongShapeOfData Error "data have another shape than the declared type";
    R0311 Rebuilt Advice "something was computed again because what it depends on changed";
    R0312 Replaced Advice "a declaration replaces one of another cell";
    R0313 NotAdjoint Error "an operator's two functions do not belong together";
    R0401 StrictInequality Error "a strict inequality in a constraint";
    R0402 NotAConstraint Error "an expression after `subject to` is not a comparison or membership";
    R0403 NoObjective Error "a problem has no objective, or several";
    R0404 ObjectiveNotScalar Error "an objective is not a number";
    R0405 ConstantConstraint Warning "a constraint has no variable in it";
    R0406 UnknownConstraint Error "a problem has no constraint of that name";
    R0407 UnusedVariable Warning "a variable is not used by the objective or any constraint";
    R0408 BadSaddle Error "a saddle point lacks one of its sides, or its objective";
    R0501 NotConvex Error "a method that needs convexity was asked for a problem not proved convex";
    R0601 CannotRead Error "a file cannot be read";
    R0602 BadTable Error "a table is ragged, empty or malformed";
    R0603 BadNumberInFile Error "a field is not a finite number";
    R0604 NoSuchColumn Error "a table has no such column";
    R0605 BadMatrixMarket Error "a Matrix Market file is malformed or truncated";
    R0606 UnknownFormat Error "the format of a file is not known";
    R0607 CannotWrite Error "a file cannot be written";
    R0608 BadArrayFile Error "a NumPy file is damaged or holds no numbers";
    R0609 BadJson Error "a JSON file is malformed or of another form than is wanted";
    R0610 CircularUse Error "a file uses itself";
    R0701 UnknownMethod Error "no method has that name";
    R0702 BadOption Error "a method has no such option, or its value does not fit";
    R0703 MethodCannotTake Error "a method cannot take this class of problem";
    R0704 NoMethodForClass Error "no method is built for this class of problem yet";
    R0705 UnknownProblem Error "there is nothing to solve by that name";
    R0706 BadStart Error "a start does not fit its variable";
    R0707 BadVariation Error "a `fixing`, `without` or `relaxed` does not fit the problem";
    R0710 BadStep Error "a step holds what cannot stand there";
    R0711 BadPipeline Error "the parts of a pipeline do not fit together";
    R0712 OracleMissing Error "an optimizer asks for what the problem cannot answer";
    R0713 StateShape Error "a state would change its shape";
    R0714 SavedRun Error "a run cannot be taken up or taken back here";
    R0801 NotFinite Error "an evaluation left a function's domain or is not a finite number";
    R0802 SingularSystem Warning "a linear system is singular to working precision";
    R0803 IllConditioned Warning "an answer has few correct digits";
    R0804 AssertFailed Error "an assertion does not hold";
    R0805 Interrupted Warning "a cell or a solve was interrupted";
    R0806 NothingToDraw Error "a picture would be empty";
    R0901 Internal Error "a mistake of ours";
}

impl Code {
    /// The code with this identifier, in either case.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL
            .iter()
            .copied()
            .find(|c| c.id().eq_ignore_ascii_case(text.trim()))
    }
}
