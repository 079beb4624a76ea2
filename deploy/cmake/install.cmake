# What `cmake --install` puts in place beside the program: libsdg as a shared library and as an archive, its public headers
# in include/sdg, and sdg.pc for pkg-config. The program does not use them.

# The public headers. Programs and the sources of proto/sdg see them as <sdg/NAME>, here in ${CMAKE_BINARY_DIR}/public.
set(SDG_PUBLIC_HEADERS
  core/base/codes.h
  proto/sdg/base.h
  proto/sdg/cache.h
  proto/sdg/contexts.h
  proto/sdg/llm.h
  proto/sdg/sdg.h)
set(public ${CMAKE_BINARY_DIR}/public)
set(public_names version.h)
file(WRITE ${CMAKE_BINARY_DIR}/public.txt "proto/sdg/version.h.in\n")
configure_file(proto/sdg/version.h.in ${public}/sdg/version.h @ONLY)
foreach(header ${SDG_PUBLIC_HEADERS})
  get_filename_component(name ${header} NAME)
  configure_file(${header} ${public}/sdg/${name} COPYONLY)
  list(APPEND public_names ${name})
  file(APPEND ${CMAKE_BINARY_DIR}/public.txt "${header}\n")
endforeach()
file(GLOB former RELATIVE ${public}/sdg ${public}/sdg/*)
list(REMOVE_ITEM former ${public_names})
foreach(name ${former}) # of an earlier list
  file(REMOVE ${public}/sdg/${name})
endforeach()
target_include_directories(sdg_proto_sdg PUBLIC ${public})
install(DIRECTORY ${public}/sdg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(SDG_SANITIZE OR SDG_FUZZ) # their libraries are of use to nobody: a program would need the same runtime
  return()
endif()

# Both libraries are linked from the archives of the rooms: of these they take what the exported functions need.
set(map ${CMAKE_SOURCE_DIR}/deploy/cmake/libsdg.map)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${map})
file(STRINGS ${map} exported REGEX "^ +sdg_[a-z_]+;$")
list(TRANSFORM exported REPLACE "[ ;]" "")
list(TRANSFORM exported PREPEND "-Wl,--undefined=" OUTPUT_VARIABLE roots)

file(WRITE ${CMAKE_BINARY_DIR}/empty.c "")
add_library(sdg_shared SHARED ${CMAKE_BINARY_DIR}/empty.c)
target_link_libraries(sdg_shared PRIVATE sdg_proto_sdg)
target_link_options(sdg_shared PRIVATE ${roots} -Wl,--version-script=${map} -Wl,--no-undefined -Wl,--as-needed
  -Wl,-z,nodelete) # threads that have used it run code of it when they end
set_target_properties(sdg_shared PROPERTIES OUTPUT_NAME sdg LINKER_LANGUAGE CXX LINK_DEPENDS ${map}
  VERSION ${PROJECT_VERSION} SOVERSION 0)
install(TARGETS sdg_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

# libsdg.a is one relocatable object in which all but the exported symbols are local, so a program may have functions of the
# same names. `--force-group-allocation` takes the inline functions of C++ out of their groups, which the final link would
# otherwise merge with those of the program by name.
list(JOIN exported "\n" lines)
file(WRITE ${CMAKE_BINARY_DIR}/exported.txt "${lines}\n")
get_property(rooms GLOBAL PROPERTY SDG_ROOMS)
list(FILTER rooms EXCLUDE REGEX "^sdg_actors_")
list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE archives)
add_custom_command(OUTPUT libsdg.a DEPENDS ${rooms} ${map}
  COMMAND ${CMAKE_CXX_COMPILER} -r -nostdlib -Wl,--force-group-allocation ${roots} -o libsdg.o
          -Wl,--start-group ${archives} -Wl,--end-group
  COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=exported.txt libsdg.o
  COMMAND ${CMAKE_COMMAND} -E rm -f libsdg.a
  COMMAND ${CMAKE_AR} rcs libsdg.a libsdg.o
  COMMENT "Linking libsdg.a" VERBATIM)
add_custom_target(sdg_archive ALL DEPENDS libsdg.a)
install(FILES ${CMAKE_BINARY_DIR}/libsdg.a DESTINATION ${CMAKE_INSTALL_LIBDIR})

# The prefix is taken from where the file lies, so that `cmake --install --prefix` and a moved tree work.
file(RELATIVE_PATH PC_UP /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(deploy/cmake/sdg.pc.in ${CMAKE_BINARY_DIR}/sdg.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/sdg.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
