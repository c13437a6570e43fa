//! How layers learn what an answer says, whatever type it has.

use mcp_router_service::{CallError, Class, Classify, HoldGuard};

/// Says of an answer, or of the error in its place, how the one who gave it fares.
///
/// Implemented by [`ByTraits`], and by closures `Fn(Result<&T, &E>) -> Class`, which look at the
/// head of an answer.
pub trait Judge<T, E> {
    /// Tells `watch`, now or when the answer has ended. An answer that is given up before its end
    /// drops `watch` unheard.
    ///
    /// # Errors
    /// The error in `result`.
    fn judge<W>(&self, result: Result<T, E>, watch: W) -> Result<T, CallError>
    where
        W: FnOnce(Class, Option<&CallError>) + Send + 'static;
}

/// Judges by what answer and error say themselves ([`Classify`]), at the answer's end.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByTraits;

impl<T, E> Judge<T, E> for ByTraits
where
    T: Classify + HoldGuard,
    E: Classify + Into<CallError>,
{
    fn judge<W>(&self, result: Result<T, E>, watch: W) -> Result<T, CallError>
    where
        W: FnOnce(Class, Option<&CallError>) + Send + 'static,
    {
        match result {
            Ok(answer) => Ok(answer.watch(watch)),
            Err(error) => {
                let class = error.class();
                let error = error.into();
                watch(class, Some(&error));
                Err(error)
            }
        }
    }
}

impl<F, T, E> Judge<T, E> for F
where
    F: Fn(Result<&T, &E>) -> Class,
    E: Into<CallError>,
{
    fn judge<W>(&self, result: Result<T, E>, watch: W) -> Result<T, CallError>
    where
        W: FnOnce(Class, Option<&CallError>) + Send + 'static,
    {
        let class = self(result.as_ref());
        let result = result.map_err(Into::into);
        watch(class, result.as_ref().err());
        result
    }
}
